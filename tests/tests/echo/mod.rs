//! A second role: it echoes the body of a POST, on a topic of its own.
//!
//! It is here to show how little a role is: nothing of shard, tap or shipper knows of it.

use brink_proto::{
    event::Row,
    ids::Class,
    schema::{Field, Kind, Schema},
    text::Text,
    wire::{Writer, bytes_field_bytes},
};
use edge::{
    config::ListenerConfig,
    http::answer::{Answer, Fixed},
    roles::{Ack, Moment, Outcome, Request, Role, Supplies},
};

/// The longest body that is told whole.
const BODY_BYTES_MAX: usize = 4096;

static ECHOES: Schema = Schema {
    topic: "echoes",
    message: "Echo",
    version: 1,
    class: Class::Sampled,
    about: "One echoed body.",
    row: &[Field {
        number: 16,
        name: "body",
        kind: Kind::Text,
        nullable: false,
        bloom: false,
        about: "What was sent.",
        unit: "text",
        null: "never",
        example: "hello",
        bytes_max: Some(BODY_BYTES_MAX),
    }],
};

pub(crate) struct Echo;

pub(crate) struct EchoRow<'a>(Text<'a, BODY_BYTES_MAX>);

impl Row for EchoRow<'_> {
    fn schema(&self) -> &'static Schema {
        &ECHOES
    }

    fn encoded_bytes(&self) -> usize {
        bytes_field_bytes(16, self.0.encoded_bytes())
    }

    fn encode(&self, out: &mut Writer<'_>) {
        self.0.encode(16, out);
    }
}

static NOT_ALLOWED: Fixed = Fixed {
    status: 405,
    head: b"HTTP/1.1 405 Method Not Allowed\r\nAllow: POST\r\nContent-Length: 0\r\n",
    body: b"",
};

impl Role for Echo {
    type View = Ack;
    type State = ();
    type Row<'a> = EchoRow<'a>;

    const NAME: &'static str = "echo";
    const TOPICS: &'static [&'static Schema] = &[&ECHOES];
    const ROUTES: &'static [&'static str] = &["/echo"];

    fn view(config: &ListenerConfig, _: Supplies) -> Ack {
        config.ack("/echo")
    }

    fn state(_: &Ack) {}

    fn handle<'a>(
        request: &Request<'a>,
        view: &'a Ack,
        _state: &'a mut (),
        _moment: Moment,
        answer: &mut Answer<'_>,
    ) -> Outcome<EchoRow<'a>> {
        match (request.head.path, request.head.method) {
            (b"/echo", "POST") => {
                answer.with_body(200, b"HTTP/1.1 200 OK\r\n", request.body);
                Outcome::event(*view, EchoRow(request.body.into()))
            }
            (b"/echo", _) => {
                answer.fixed(&NOT_ALLOWED);
                Outcome::Answered
            }
            _ => Outcome::NotFound,
        }
    }
}
