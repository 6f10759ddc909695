//! Attachments: inline, by themselves, in multipart; ranges, encodings, digests.

use super::pool::{in_path, in_query, quoted};
use super::{Maker, WRONG};
use crate::client::Request;

const NAMES: [&str; 10] =
    ["a.txt", "b.bin", "c.json", "é", "dir/x.html", "a b", "d.png", "e+f", "\"q\"", "%"];

const KINDS: [&str; 9] = [
    "text/plain",
    "application/octet-stream",
    "application/json",
    "image/png",
    "text/html; charset=utf-8",
    "TEXT/PLAIN",
    "x",
    "application/xml",
    "text/css",
];

const TEXTS: [&str; 7] = [
    "",
    "a",
    "hello world",
    "{\"a\":1}",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "línea ñ",
    "0123456789abcdefghijklmnopqrstuvwxyz",
];

const RANGES: [&str; 18] = [
    "bytes=0-3",
    "bytes=2-",
    "bytes=-4",
    "bytes=0-",
    "bytes=0-999",
    "bytes=999-",
    "bytes=3-1",
    "bytes=0-1,3-4",
    "bytes=0-0",
    "bytes=-0",
    "bytes=",
    "x",
    "bytes=a-b",
    "bytes=-999",
    "bytes=1-1",
    "items=0-1",
    "bytes=0-1,1-2,5-",
    "bytes=--1",
];

impl Maker {
    /// An attachment inside a document: its name, and the member.
    pub(super) fn inline_attachment(&mut self) -> (String, String) {
        let name = self.dice.pick(&NAMES).to_owned();
        let mut parts = Vec::new();
        let text = self.dice.pick(&TEXTS);
        let mut data = crate::base64(text.as_bytes());
        if self.dice.chance(WRONG) {
            match self.dice.below(9) {
                0 => data = "***".to_owned(),
                1 => data.push('='),
                2 => parts.push("\"stub\":true".to_owned()),
                3 => parts.push("\"revpos\":\"x\"".to_owned()),
                4 => parts.push("\"encoding\":\"gzip\"".to_owned()),
                5 => parts.push("\"length\":99".to_owned()),
                6 => parts.push("\"content_type\":5".to_owned()),
                7 => data = format!("{data} "),
                _ => parts.push("\"stub\":false".to_owned()),
            }
        }
        if self.dice.chance(85) {
            parts.push(format!("\"content_type\":{}", quoted(self.dice.pick(&KINDS))));
        }
        if self.dice.chance(10) {
            parts.push(format!("\"revpos\":{}", self.dice.below(4)));
        }
        parts.push(format!("\"data\":{}", quoted(&data)));
        (name.clone(), format!("{}:{{{}}}", quoted(&name), parts.join(",")))
    }

    pub(super) fn attachment(&mut self) {
        match self.dice.below(10) {
            0..3 => self.put_attachment(),
            3..4 => self.put_related(),
            4..9 => self.get_attachment(),
            _ => self.delete_attachment(),
        }
    }

    fn path_of(&mut self, id: &str, name: &str, query: &[String]) -> String {
        self.path(&format!("/{}/{}", in_path(id), in_path(name).replace("%2F", "/")), query)
    }

    fn put_attachment(&mut self) {
        let doc = self.target();
        let name = self.dice.pick(&NAMES).to_owned();
        let (rev, taken) = self.rev_for_edit(&doc);
        let mut query: Vec<String> =
            rev.iter().map(|rev| format!("rev={}", in_query(rev))).collect();
        let mut headers = Vec::new();
        if self.dice.chance(15) {
            query.clear();
            headers.extend(rev.map(|rev| ("If-Match", rev)));
        }
        let path = self.path_of(&doc.id, &name, &query);
        let mut request = Request::new("PUT", &path);
        for (header, value) in headers {
            request = request.header(header, &value);
        }
        let mut text = self.dice.pick(&TEXTS);
        if text.is_empty() {
            text = "x";
        }
        if self.dice.chance(4) {
            let odd = [
                ("Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA=="),
                ("Content-Encoding", "gzip"),
                ("Content-Encoding", "identity"),
                ("Content-Encoding", "br"),
            ];
            let (header, value) = self.dice.pick(&odd);
            request = request.header(header, value);
        }
        request = request.header("Content-Type", self.dice.pick(&KINDS));
        request.body = Some(text.as_bytes().to_vec());
        let new = self.ask_and_keep(request, 'r', "/rev");
        if taken {
            let mut attachments = doc.attachments.clone();
            attachments.push(name);
            self.world.edited(&doc.id, new, attachments, false);
        }
    }

    /// A document and its attachments in one body of parts.
    fn put_related(&mut self) {
        let doc = self.target();
        let (rev, taken) = self.rev_for_edit(&doc);
        let (first, second) = (self.dice.pick(&TEXTS), self.dice.pick(&TEXTS));
        let mut members = self.members();
        if let Some(rev) = rev {
            members.insert(0, format!("\"_rev\":{}", quoted(&rev)));
        }
        // With captured values in it, only the JSON changes its length.
        members.push(format!(
            "\"_attachments\":{{\"a.txt\":{{\"follows\":true,\"content_type\":{},\"length\":{}}},\
             \"b.bin\":{{\"follows\":true,\"content_type\":\"image/png\",\"length\":{}}}}}",
            quoted(self.dice.pick(&KINDS)),
            first.len(),
            second.len()
        ));
        let body = format!(
            "--edge\r\nContent-Type: application/json\r\n\r\n{{{}}}\r\n--edge\r\n\r\n{first}\r\n--edge\r\n\r\n{second}\r\n--edge--",
            members.join(",")
        );
        let mut request = Request::new("PUT", &self.path(&format!("/{}", in_path(&doc.id)), &[]));
        request = request.header("Content-Type", "multipart/related; boundary=\"edge\"");
        request.body = Some(body.into_bytes());
        let new = self.ask_and_keep(request, 'r', "/rev");
        if taken {
            let both = vec!["a.txt".to_owned(), "b.bin".to_owned()];
            self.world.edited(&doc.id, new, both, false);
        }
    }

    fn get_attachment(&mut self) {
        let with = |doc: &super::world::Doc| !doc.attachments.is_empty();
        let known: Vec<_> = self.world.docs.iter().filter(|doc| with(doc)).cloned().collect();
        let doc = match known.get(self.dice.below(known.len())) {
            Some(doc) if !self.dice.chance(WRONG) => doc.clone(),
            _ => self.target(),
        };
        let name = match doc.attachments.get(self.dice.below(doc.attachments.len())) {
            Some(name) if !self.dice.chance(WRONG) => name.clone(),
            _ => self.dice.pick(&NAMES).to_owned(),
        };
        let query = match self.dice.chance(20) {
            true => vec![format!("rev={}", in_query(&self.rev_of(&doc)))],
            false => Vec::new(),
        };
        let path = self.path_of(&doc.id, &name, &query);
        let mut request = Request::new(self.dice.pick(&["GET", "GET", "GET", "HEAD"]), &path);
        if self.dice.chance(35) {
            request = request.header("Range", self.dice.pick(&RANGES));
        }
        if self.dice.chance(30) {
            let encodings = [
                "gzip",
                "identity",
                "gzip, deflate",
                "*",
                "gzip;q=0",
                "deflate",
                "",
                "gzip;q=0.5,identity;q=0.1",
                "x",
            ];
            request = request.header("Accept-Encoding", self.dice.pick(&encodings));
        }
        if self.dice.chance(8) {
            request = request.header(
                "Accept",
                self.dice.pick(&["text/plain", "image/*", "x", "application/json"]),
            );
        }
        if self.dice.chance(8) {
            request = request.header(
                "If-None-Match",
                self.dice.pick(&[
                    "*",
                    "\"x\"",
                    "\"7Qdih1MuhjZehB6Sv8UNjA==\"",
                    "\"XrY7u+Ae7tCTyyK7j1rNww==\"",
                ]),
            );
        }
        self.ask(request);
    }

    fn delete_attachment(&mut self) {
        let doc = self.target();
        let (rev, taken) = self.rev_for_edit(&doc);
        let name = match doc.attachments.first() {
            Some(name) if !self.dice.chance(20) => name.clone(),
            _ => self.dice.pick(&NAMES).to_owned(),
        };
        let query: Vec<String> = rev.iter().map(|rev| format!("rev={}", in_query(rev))).collect();
        let path = self.path_of(&doc.id, &name, &query);
        let new = self.ask_and_keep(Request::new("DELETE", &path), 'r', "/rev");
        if taken && rev.is_some() && doc.attachments.contains(&name) {
            let left = doc.attachments.iter().filter(|one| **one != name).cloned().collect();
            self.world.edited(&doc.id, new, left, false);
        }
    }
}
