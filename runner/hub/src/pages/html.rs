//! HTML, made so that nothing gets in unescaped.

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// A page that is being written.
pub(super) struct Page {
    html: String,
}

impl Page {
    /// Begins a page.
    pub(super) fn new(title: &str) -> Self {
        let mut page = Self {
            html: String::new(),
        };
        page.raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
        page.raw("<meta name=\"viewport\" content=\"width=device-width\">");
        page.raw("<link rel=\"stylesheet\" href=\"/style.css\"><title>");
        page.text(title);
        page.raw(" · Capstan hub</title></head><body><nav><a href=\"/\">Executions</a><a href=\"/executors\">Executors</a></nav><h1>");
        page.text(title);
        page.raw("</h1>");
        page
    }

    /// Markup that stands in our source.
    pub(super) fn raw(&mut self, html: &'static str) -> &mut Self {
        self.html.push_str(html);
        self
    }

    /// Text from anywhere.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for character in text.chars() {
            match character {
                '&' => self.html.push_str("&amp;"),
                '<' => self.html.push_str("&lt;"),
                '>' => self.html.push_str("&gt;"),
                '"' => self.html.push_str("&quot;"),
                '\'' => self.html.push_str("&#39;"),
                // What turns the direction of text or is not to be seen could make it look like something else.
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\0' => {
                    self.html.push(char::REPLACEMENT_CHARACTER);
                }
                _ => self.html.push(character),
            }
        }
        self
    }

    /// A number.
    pub(super) fn number(&mut self, number: i64) -> &mut Self {
        self.html.push_str(&number.to_string());
        self
    }

    /// An element with text in it. `class` stands in our source.
    pub(super) fn element(
        &mut self,
        name: &'static str,
        class: &'static str,
        text: &str,
    ) -> &mut Self {
        self.raw("<")
            .raw(name)
            .raw(" class=\"")
            .raw(class)
            .raw("\">");
        self.text(text).raw("</").raw(name).raw(">")
    }

    /// A link to a page of ours: `/jobs/` and a number.
    pub(super) fn link(&mut self, to: &'static str, id: i64, text: &str) -> &mut Self {
        self.raw("<a href=\"").raw(to).number(id).raw("\">");
        self.text(text).raw("</a>")
    }

    /// A row of headings.
    pub(super) fn headings(&mut self, headings: &[&'static str]) -> &mut Self {
        self.raw("<table><thead><tr>");
        for heading in headings {
            self.raw("<th>").raw(heading).raw("</th>");
        }
        self.raw("</tr></thead><tbody>")
    }

    /// Ends a table that [`Page::headings`] began.
    pub(super) fn end_table(&mut self) -> &mut Self {
        self.raw("</tbody></table>")
    }
}

impl IntoResponse for Page {
    fn into_response(mut self) -> Response {
        self.raw("</body></html>\n");
        (
            [(header::CONTENT_TYPE, "text/html; charset=utf-8")],
            self.html,
        )
            .into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_text() {
        let mut page = Page::new("<script>alert('x')</script>");
        page.element("td", "dim", "\"&\u{202e}");
        assert!(!page.html.contains("<script"), "{}", page.html);
        assert!(
            page.html
                .ends_with("<td class=\"dim\">&quot;&amp;\u{fffd}</td>")
        );
    }
}
