//! One attachment of gigabytes, up and down, in a process that may hold a fraction of it.

use std::io::{self, Read};
use std::time::Instant;

use settee_tests::ask::configure;
use settee_tests::client::Request;
use settee_tests::given;
use settee_tests::server::Server;

use crate::{MIB, STREAMING, expect, program};

/// Bytes that follow from their place, and do not compress.
struct Noise {
    state: u64,
    left: u64,
}

impl Noise {
    fn new(length: u64) -> Noise {
        Noise { state: 1, left: length }
    }
}

impl Read for Noise {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let length = buf.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        // Whole words, so that pieces of any size give the same bytes; the length is a multiple.
        let length = length - length % 8;
        for word in buf[..length].chunks_exact_mut(8) {
            // Marsaglia's xorshift.
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            word.copy_from_slice(&self.state.to_le_bytes());
        }
        self.left -= length as u64;
        Ok(length)
    }
}

#[test]
fn an_attachment_of_gigabytes_goes_up_and_comes_down_within_a_bound() {
    let length = given("ATTACHMENT_MIB", 5 * 1024) * MIB;
    let data = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(&program(), data.path()).expect("a server");
    let mut client = server.client();
    configure(&mut client, "couchdb/max_attachment_size", "infinity");
    expect(&mut client, &Request::new("PUT", "/large"), 201);
    let put = Request::new("PUT", "/large/doc/att").header("Content-Type", "image/x-noise");
    let began = Instant::now();
    let answer = client.send_from(&put, length, &mut Noise::new(length)).expect("an answer");
    assert_eq!(answer.status, 201, "{}", answer.text());
    let rate = |began: Instant| (length / MIB) as f64 / began.elapsed().as_secs_f64();
    eprintln!("up: {:.0} MiB/s, memory at most {} MiB", rate(began), peak(&server) / MIB);
    let began = Instant::now();
    let (head, mut body) =
        client.open_feed(&Request::new("GET", "/large/doc/att")).expect("an answer");
    assert_eq!((head.status, head.header("content-length")), (200, Some(&*length.to_string())));
    let (mut came, mut sent) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut expected = Noise::new(length);
    while expected.left > 0 {
        let piece = came.len().min(usize::try_from(expected.left).expect("a length"));
        expected.read_exact(&mut sent[..piece]).expect("noise");
        body.read_exact(&mut came[..piece]).expect("more of the attachment");
        assert!(came[..piece] == sent[..piece], "other bytes {} from the end", expected.left);
    }
    eprintln!("down: {:.0} MiB/s, memory at most {} MiB", rate(began), peak(&server) / MIB);
    assert!(peak(&server) < STREAMING, "{} MiB", peak(&server) / MIB);
}

fn peak(server: &Server) -> u64 {
    server.peak_memory().expect("its memory")
}
