/* A pixel on libh2o's own event loop: one thread, a text line of log for each request.
 *
 * The same as src/bin/peer-hyper.rs. `bench peers` compiles it against Debian's libh2o-evloop-dev:
 *   cc -O2 -o peer-h2o h2o.c -lh2o-evloop -lssl -lcrypto
 * Arguments: ADDRESS:PORT LOG. */
#define H2O_USE_LIBUV 0
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <h2o.h>

static const char gif[43] = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff"
                            "!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00;";

static h2o_globalconf_t config;
static h2o_context_t context;
static h2o_accept_ctx_t accept_context;

/* Lines wait until there are 64 KiB of them or a second is over. A line has a bound, as the buffer. */
static struct {
    int fd;
    size_t used;
    time_t flushed;
    char bytes[2 * 64 * 1024];
} access_log;

static void add_line(h2o_req_t *req)
{
    struct timespec now;
    struct sockaddr_storage peer;
    char host[INET6_ADDRSTRLEN] = "-";
    const h2o_token_t *const names[3] = {H2O_TOKEN_REFERER, H2O_TOKEN_USER_AGENT, H2O_TOKEN_COOKIE};
    const size_t room = 64 * 1024;
    size_t i, used = access_log.used;
    char *const to = access_log.bytes;

    clock_gettime(CLOCK_REALTIME, &now);
    if (req->conn->callbacks->get_peername(req->conn, (void *)&peer) != 0 && peer.ss_family == AF_INET)
        inet_ntop(AF_INET, &((struct sockaddr_in *)&peer)->sin_addr, host, sizeof(host));
    used += snprintf(to + used, 512, "%lld.%03ld %s \"%.*s ", (long long)now.tv_sec, now.tv_nsec / 1000000, host,
                     (int)(req->method.len < 32 ? req->method.len : 32), req->method.base);
    if (used + req->path.len < 2 * room - 8192) {
        memcpy(to + used, req->path.base, req->path.len);
        used += req->path.len;
    }
    used += snprintf(to + used, 64, " HTTP/1.1\" %d", req->res.status);
    for (i = 0; i != 3; ++i) {
        ssize_t at = h2o_find_header(&req->headers, names[i], -1);
        h2o_iovec_t value = at == -1 ? h2o_iovec_init("-", 1) : req->headers.entries[at].value;
        if (value.len > 2048)
            value.len = 2048;
        memcpy(to + used, " \"", 2);
        memcpy(to + used + 2, value.base, value.len);
        to[used + 2 + value.len] = '"';
        used += value.len + 3;
    }
    to[used++] = '\n';
    if (used >= room || now.tv_sec != access_log.flushed) {
        size_t done = 0;
        while (done != used) {
            ssize_t wrote = write(access_log.fd, to + done, used - done);
            if (wrote < 0 && errno != EINTR) {
                perror("peer-h2o: the log cannot be written");
                exit(1);
            }
            done += wrote > 0 ? wrote : 0;
        }
        used = 0;
        access_log.flushed = now.tv_sec;
    }
    access_log.used = used;
}

/* Only whole lines count as used, so this is right wherever it interrupts. */
static void on_term(int signal)
{
    (void)signal;
    _exit(write(access_log.fd, access_log.bytes, access_log.used) == (ssize_t)access_log.used ? 0 : 1);
}

static int on_request(h2o_handler_t *self, h2o_req_t *req)
{
    (void)self;
    req->res.status = 200;
    req->res.reason = "OK";
    req->res.content_length = sizeof(gif);
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL, H2O_STRLIT("image/gif"));
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CACHE_CONTROL, NULL,
                   H2O_STRLIT("private, no-cache, no-store, must-revalidate"));
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_EXPIRES, NULL, H2O_STRLIT("0"));
    add_line(req);
    h2o_send_inline(req, gif, sizeof(gif));
    return 0;
}

static void on_accept(h2o_socket_t *listener, const char *err)
{
    h2o_socket_t *sock;
    if (err == NULL && (sock = h2o_evloop_socket_accept(listener)) != NULL)
        h2o_accept(&accept_context, sock);
}

static int listen_on(const char *where)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    const char *colon = strrchr(where, ':');
    char host[64] = "";
    int fd, yes = 1;

    if (colon == NULL || (size_t)(colon - where) >= sizeof(host))
        return -1;
    memcpy(host, where, colon - where);
    address.sin_port = htons(atoi(colon + 1));
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1 || (fd = socket(AF_INET, SOCK_STREAM, 0)) == -1)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    if (bind(fd, (void *)&address, sizeof(address)) != 0 || listen(fd, 4096) != 0)
        return -1;
    return fd;
}

int main(int argc, char **argv)
{
    h2o_hostconf_t *host;
    h2o_handler_t *handler;
    h2o_socket_t *listener;
    int fd;

    signal(SIGPIPE, SIG_IGN);
    if (argc != 3 || (fd = listen_on(argv[1])) == -1 ||
        (access_log.fd = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0644)) == -1) {
        fprintf(stderr, "peer-h2o: wanted: ADDRESS:PORT LOG (%s)\n", strerror(errno));
        return 2;
    }
    signal(SIGTERM, on_term);
    h2o_config_init(&config);
    config.server_name = h2o_iovec_init(NULL, 0);
    host = h2o_config_register_host(&config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    handler = h2o_create_handler(h2o_config_register_path(host, "/i.gif", 0), sizeof(*handler));
    handler->on_req = on_request;
    h2o_context_init(&context, h2o_evloop_create(), &config);
    accept_context.ctx = &context;
    accept_context.hosts = config.hosts;
    listener = h2o_evloop_socket_create(context.loop, fd, H2O_SOCKET_FLAG_DONT_READ);
    h2o_socket_read_start(listener, on_accept);
    while (h2o_evloop_run(context.loop, INT32_MAX) == 0)
        ;
    return 1;
}
