//! Writing JSON straight into text: answers of hundreds of lines must stay cheap.

use super::fixed::Fixed;

/// JSON text under construction.
#[derive(Debug)]
pub(super) struct Json(String);

impl Json {
    pub(super) fn with_capacity(bytes: usize) -> Json {
        Json(String::with_capacity(bytes))
    }

    pub(super) fn finish(self) -> String {
        self.0
    }

    fn comma(&mut self) {
        if !matches!(self.0.as_bytes().last(), None | Some(b'{' | b'[' | b':')) {
            self.0.push(',');
        }
    }

    /// Opens an object or a list as the next value.
    pub(super) fn open(&mut self, bracket: char) {
        self.comma();
        self.0.push(bracket);
    }

    /// Closes it.
    pub(super) fn close(&mut self, bracket: char) {
        self.0.push(bracket);
    }

    /// A key of plain letters; a value must follow.
    pub(super) fn key(&mut self, key: &str) {
        self.comma();
        self.0.push('"');
        self.0.push_str(key);
        self.0.push_str("\":");
    }

    /// A text as the next value.
    pub(super) fn string(&mut self, text: &str) {
        self.comma();
        self.0.push('"');
        let mut rest = text;
        while let Some(at) = rest.bytes().position(|b| b < 0x20 || b == b'"' || b == b'\\') {
            let (plain, special) = rest.split_at(at);
            self.0.push_str(plain);
            match special.as_bytes().first() {
                Some(b'"') => self.0.push_str("\\\""),
                Some(b'\\') => self.0.push_str("\\\\"),
                Some(b'\n') => self.0.push_str("\\n"),
                Some(b'\r') => self.0.push_str("\\r"),
                Some(b'\t') => self.0.push_str("\\t"),
                Some(other) => self.0.push_str(&format!("\\u{other:04x}")),
                None => {}
            }
            rest = special.get(1..).unwrap_or("");
        }
        self.0.push_str(rest);
        self.0.push('"');
    }

    /// A member that is text.
    pub(super) fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        self.string(text);
    }

    /// A member whose value is already JSON.
    pub(super) fn raw(&mut self, key: &str, json: &str) {
        self.key(key);
        self.0.push_str(json);
    }

    /// A member that is a truth value.
    pub(super) fn flag(&mut self, key: &str, value: bool) {
        self.raw(key, if value { "true" } else { "false" });
    }

    /// A member that is a number, written as the vendor does: `200.0`, `159.2`.
    pub(super) fn number(&mut self, key: &str, value: Fixed) {
        self.key(key);
        value.write(&mut self.0, 1);
    }

    /// A member that is a reference or an enumeration: `{"links":[],"id":..,"refName":..}`.
    pub(super) fn reference(&mut self, key: &str, id: u32, name: &str) {
        self.key(key);
        self.0.push_str("{\"links\":[],\"id\":\"");
        self.0.push_str(&id.to_string());
        self.0.push_str("\",\"refName\":");
        self.string(name);
        self.0.push('}');
    }

    /// A member that is an enumeration; `simple` writes the bare id.
    pub(super) fn choice(&mut self, key: &str, id: &str, name: &str, simple: bool) {
        if simple {
            return self.text(key, id);
        }
        self.key(key);
        self.open('{');
        self.text("id", id);
        self.text("refName", name);
        self.close('}');
    }

    /// The member `links` with one link.
    pub(super) fn link(&mut self, rel: &str, href: &str) {
        self.key("links");
        self.0.push_str("[{\"rel\":\"");
        self.0.push_str(rel);
        self.0.push_str("\",\"href\":");
        self.string(href);
        self.0.push_str("}]");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_a_reader_reads() {
        let mut json = Json::with_capacity(16);
        json.open('{');
        json.link("self", "http://x");
        json.text("a", "q\"\\\n\u{1}é😀");
        json.number("n", Fixed::whole(200));
        json.flag("f", false);
        json.reference("r", 7, "seven");
        json.key("l");
        json.open('[');
        json.string("x");
        json.string("");
        json.open('{');
        json.close('}');
        json.close(']');
        json.choice("c", "B", "Bee", true);
        json.close('}');
        let value: serde_json::Value = serde_json::from_str(&json.finish()).unwrap();
        assert_eq!(
            value.to_string(),
            serde_json::from_str::<serde_json::Value>(
                r#"{"links":[{"rel":"self","href":"http://x"}],"a":"q\"\\\n\u0001é😀","n":200.0,"f":false,
                    "r":{"links":[],"id":"7","refName":"seven"},"l":["x","",{}],"c":"B"}"#
            )
            .unwrap()
            .to_string()
        );
    }
}
