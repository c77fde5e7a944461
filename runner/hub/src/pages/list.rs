//! The lists: executions, executors.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::IntoResponse as _;
use axum::response::Response;
use serde::Deserialize;

use super::html::Page;
use crate::api::Refusal;
use crate::hub::Shared;
use crate::people::time;
use crate::store;

/// Executions on a page.
const PAGE: i64 = 50;

#[derive(Deserialize)]
pub(super) struct Before {
    before: Option<i64>,
}

pub(super) async fn executions(
    State(hub): State<Arc<Shared>>,
    Query(Before { before }): Query<Before>,
) -> Result<Response, Refusal> {
    let listed = hub
        .store
        .read(move |connection| store::executions(connection, before, PAGE))
        .await?;
    let mut page = Page::new("Executions");
    page.headings(&["", "Batch spec", "State", "Jobs", "Submitted", "Ended"]);
    for one in &listed {
        page.raw("<tr><td>")
            .link("/executions/", one.id, &one.id.to_string())
            .raw("</td><td>")
            .link("/executions/", one.id, &one.name)
            .raw("</td>")
            .element("td", one.state.name(), one.state.name());
        let jobs: Vec<String> = one
            .jobs
            .iter()
            .map(|(state, count)| format!("{count} {state}"))
            .collect();
        page.element("td", "", &jobs.join(", "))
            .element("td", "dim", &time(one.created_at))
            .element("td", "dim", &one.finished_at.map(time).unwrap_or_default())
            .raw("</tr>");
    }
    page.end_table();
    let is_full = i64::try_from(listed.len()).is_ok_and(|count| count == PAGE);
    if let Some(last) = listed.last().filter(|_| is_full) {
        page.raw("<p>")
            .link("/?before=", last.id, "Older")
            .raw("</p>");
    } else if listed.is_empty() {
        page.raw("<p>There is nothing here. Submit a batch spec with <code>capstan hub submit -f SPEC REPO...</code></p>");
    }
    Ok(page.into_response())
}

pub(super) async fn executors(State(hub): State<Arc<Shared>>) -> Result<Response, Refusal> {
    let seen = hub.store.read(store::executors).await?;
    let mut page = Page::new("Executors");
    page.headings(&[
        "Name",
        "Queues",
        "Machine",
        "Versions",
        "Seen first",
        "Seen last",
    ]);
    for one in &seen {
        let (machine, versions): (Vec<_>, Vec<_>) = one
            .telemetry
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .partition(|(name, _)| matches!(name.as_str(), "os" | "architecture"));
        let machine: Vec<&str> = machine.iter().map(|(_, value)| value.as_str()).collect();
        let versions: Vec<String> = versions
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        page.raw("<tr>")
            .element("td", "", &one.name)
            .element("td", "", &one.queues.join(", "))
            .element("td", "", &machine.join(" "))
            .element("td", "", &versions.join(", "))
            .element("td", "dim", &time(one.first_seen))
            .element("td", "dim", &time(one.last_seen))
            .raw("</tr>");
    }
    page.end_table();
    if seen.is_empty() {
        page.raw("<p>No executor has been here.</p>");
    }
    Ok(page.into_response())
}
