//! Requests as browsers send them to a pixel: long enough, and no two alike.

/// How many there are. A prime, so that they meet every place of a slice and of a batch.
pub(super) const COUNT: u64 = 997;

const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
     Chrome/139.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 \
     (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:142.0) Gecko/20100101 Firefox/142.0",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) \
     Chrome/139.0.0.0 Mobile Safari/537.36",
];

const LANGUAGES: [&str; 3] = ["de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7", "en-US,en;q=0.9", "fr"];

/// One request; the same number is the same request.
pub(super) fn request(number: u64) -> Vec<u8> {
    let number = number % COUNT;
    // SplitMix64: ids are as random as those of exchanges, and do not compress.
    let random = |stream: u64| {
        let mut z = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(stream << 32);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    let (auction, user, page) = (random(1), random(2), random(3));
    let agent = AGENTS[(random(4) % 4) as usize];
    let language = LANGUAGES[(random(5) % 3) as usize];
    let (creative, site) = (8000 + random(6) % 900, random(7) % 200);
    format!(
        "GET /i.gif?auction_id={auction:016x}-{user:08x}&cr={creative}&pos={} HTTP/1.1\r\n\
         Host: px.example.net\r\nConnection: keep-alive\r\nUser-Agent: {agent}\r\n\
         Accept: image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8\r\n\
         Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n\
         Referer: https://site-{site}.example.com/2026/11/{page:x}.html\r\n\
         Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: {language}\r\n\
         Cookie: consent=1; uid={user:016x}\r\n\r\n",
        random(8) % 9,
    )
    .into_bytes()
}
