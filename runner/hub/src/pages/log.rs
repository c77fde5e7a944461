//! The log of a job.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::html::Page;
use crate::api::Refusal;
use crate::hub::Shared;
use crate::people::log_body;
use crate::store;

/// Bytes of an entry that are shown: its end.
const SHOWN: i64 = 64 << 10;

pub(super) async fn page(
    State(hub): State<Arc<Shared>>,
    Path(id): Path<i64>,
) -> Result<Response, Refusal> {
    let found = hub.store.read(move |connection| {
        let Some(job) = store::job(connection, id)? else {
            return Ok(None);
        };
        let mut entries = Vec::new();
        for entry in store::entries(connection, id)? {
            let mut end = Vec::new();
            store::read_out(connection, entry.id, entry.size - SHOWN, |bytes| {
                end.extend_from_slice(bytes);
                Ok(())
            })?;
            entries.push((entry, end));
        }
        Ok(Some((job, entries)))
    });
    let (job, entries) = found
        .await?
        .ok_or_else(|| Refusal::status(StatusCode::NOT_FOUND, "there is no such job"))?;
    let mut page = Page::new(&format!("Job {id}"));
    page.raw("<p>")
        .element("b", job.state.name(), job.state.name())
        .raw(" · ")
        .text(&job.workspace.repository_name)
        .raw(" ")
        .element("code", "", &job.workspace.path)
        .raw(" at ")
        .element("code", "", &job.workspace.rev)
        .raw(" · ")
        .link("/executions/", job.execution, "execution")
        .raw("</p>");
    if let Some(failure) = &job.failure {
        page.element("pre", "failed", failure);
    }
    if entries.is_empty() {
        page.raw("<p class=\"dim\">Nothing has been logged.</p>");
    }
    for (entry, end) in &entries {
        page.element("h3", "", &entry.key).raw("<p class=\"dim\">");
        match entry.exit_code {
            None => page.raw("runs"),
            Some(code) => page.raw("exit ").number(code.into()),
        };
        if let Some(milliseconds) = entry.duration_ms {
            page.raw(" · ").number(milliseconds).raw(" ms");
        }
        page.raw(" · <a href=\"/jobs/")
            .number(id)
            .raw("/log/")
            .number(entry.number)
            .raw("\">as text</a></p>");
        if let Some(command) = &entry.command {
            page.element("pre", "dim", &command.join(" "));
        }
        if entry.size > SHOWN {
            page.raw("<p class=\"dim\">Only the end is shown here.</p>");
        }
        if !end.is_empty() {
            page.element("pre", "", &String::from_utf8_lossy(end));
        }
    }
    Ok(page.into_response())
}

pub(super) async fn text(
    State(hub): State<Arc<Shared>>,
    Path((job, number)): Path<(i64, i64)>,
) -> Result<Response, Refusal> {
    log_body(&hub, job, number, 0).await
}
