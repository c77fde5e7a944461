//! The format check of `commit.author.email`: what Go's `net/mail` parses as one address.
//!
//! It runs before templates are rendered, and knows nothing of them (facts/batch-spec.md 1.3).

/// Whether `text` is one RFC 5322 address: `a@b`, `Name <a@b>`, `"a b"@c`.
pub(super) fn is_address(text: &str) -> bool {
    let mut whole = Reader(text);
    whole.skip_blanks();
    let mut spec = Reader(whole.0);
    if spec.address().is_some() && spec.at_end() {
        return true;
    }
    let mut named = Reader(whole.0);
    named.with_name().is_some() && named.at_end()
}

struct Reader<'a>(&'a str);

impl Reader<'_> {
    fn skip_blanks(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t']);
    }

    fn take(&mut self, c: char) -> Option<()> {
        self.0 = self.0.strip_prefix(c)?;
        Some(())
    }

    /// Whether nothing is left but blanks and comments.
    fn at_end(&mut self) -> bool {
        loop {
            self.skip_blanks();
            if self.0.is_empty() {
                return true;
            }
            if self.comment().is_none() {
                return false;
            }
        }
    }

    /// `(…)`, which may nest.
    fn comment(&mut self) -> Option<()> {
        let mut depth = 0usize;
        let mut escaped = false;
        for (at, c) in self.0.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '(' => depth += 1,
                ')' => depth = depth.checked_sub(1)?,
                _ => {}
            }
            if depth == 0 {
                self.0 = &self.0[at + c.len_utf8()..];
                return (c == ')').then_some(());
            }
        }
        None
    }

    fn with_name(&mut self) -> Option<()> {
        if !self.0.starts_with('<') {
            self.word()?;
            loop {
                self.skip_blanks();
                if self.0.starts_with('<') || self.word().is_none() {
                    break;
                }
            }
        }
        self.skip_blanks();
        self.take('<')?;
        self.skip_blanks();
        self.address()?;
        self.take('>')
    }

    fn word(&mut self) -> Option<()> {
        if self.0.starts_with('"') {
            self.quoted()
        } else {
            self.atom().map(|_| ())
        }
    }

    fn address(&mut self) -> Option<()> {
        if self.0.starts_with('"') {
            self.quoted()?;
        } else {
            self.dot_atom()?;
        }
        self.take('@')?;
        self.skip_blanks();
        if self.take('[').is_some() {
            let end = self.0.find(']')?;
            self.0 = &self.0[end + 1..];
            return Some(());
        }
        self.dot_atom()
    }

    /// An atom without a dot at an end and without two dots in a row.
    fn dot_atom(&mut self) -> Option<()> {
        let atom = self.atom()?;
        let good = !atom.starts_with('.') && !atom.ends_with('.') && !atom.contains("..");
        good.then_some(())
    }

    fn atom(&mut self) -> Option<String> {
        let is_atom =
            |c: char| (c.is_ascii_graphic() || !c.is_ascii()) && !r#"()<>[]:;@\,""#.contains(c);
        let end = self.0.find(|c| !is_atom(c)).unwrap_or(self.0.len());
        let (atom, rest) = self.0.split_at(end);
        self.0 = rest;
        (!atom.is_empty()).then(|| atom.to_owned())
    }

    fn quoted(&mut self) -> Option<()> {
        self.take('"')?;
        let mut escaped = false;
        for (at, c) in self.0.char_indices() {
            match c {
                c if c.is_ascii_control() && c != '\t' => return None,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return Some(());
                }
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::is_address;

    #[test]
    fn addresses() {
        for (text, want) in [
            ("a@b", true),
            ("Name <a@b>", true),
            ("\"a b\"@c", true),
            ("<a@b>", true),
            ("A. B. <a@b.c>", true),
            ("a@[127.0.0.1]", true),
            ("a@b (home)", true),
            ("${{outputs.x}}@example.com", true),
            ("${{ outputs.x }}@example.com", false),
            ("${{outputs.email}}", false),
            ("${{ outputs.email }}", false),
            ("", false),
            ("a", false),
            ("a@", false),
            ("@b", false),
            ("a@b c", false),
            ("a..b@c", false),
            (".a@c", false),
            ("a@b, c@d", false),
            ("\"a", false),
            ("a@b (", false),
        ] {
            assert_eq!(is_address(text), want, "{text}");
        }
    }
}
