//! One execution: its jobs, and its changesets with their diffs.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::html::Page;
use crate::api::Refusal;
use crate::hub::Shared;
use crate::people::time;
use crate::store;

/// Bytes of a diff that are shown; the patch has all of it.
const DIFF_SHOWN: usize = 256 << 10;

/// Bytes of all diffs on a page.
const DIFFS_SHOWN: usize = 4 << 20;

fn not_found(what: &str) -> Refusal {
    Refusal::status(StatusCode::NOT_FOUND, format!("there is no such {what}"))
}

pub(super) async fn page(
    State(hub): State<Arc<Shared>>,
    Path(id): Path<i64>,
) -> Result<Response, Refusal> {
    let found = hub.store.read(move |connection| {
        let Some(execution) = store::execution(connection, id)? else {
            return Ok(None);
        };
        let jobs = store::jobs(connection, id)?;
        Ok(Some((execution, jobs, store::changesets(connection, id)?)))
    });
    let (execution, jobs, changesets) = found.await?.ok_or_else(|| not_found("execution"))?;
    let mut page = Page::new(&execution.draft.name);
    page.raw("<p>")
        .element("b", execution.state.name(), execution.state.name())
        .raw(" · execution ")
        .number(id)
        .raw(" · submitted ")
        .text(&time(execution.created_at));
    if let Some(finished) = execution.finished_at {
        page.raw(" · ended ").text(&time(finished));
    }
    page.raw("</p>")
        .element("p", "message", &execution.draft.description);
    if let Some(failure) = &execution.failure {
        page.element("pre", "failed", failure);
    }
    for warning in &execution.warnings {
        page.element("p", "running", warning);
    }
    page.raw("<h2>Jobs</h2>").headings(&[
        "",
        "Workspace",
        "Branch",
        "State",
        "Executor",
        "Began",
        "Ended",
    ]);
    for job in &jobs {
        let name = match job.workspace.path.as_str() {
            "" => job.workspace.repository_name.clone(),
            path => format!("{}:{path}", job.workspace.repository_name),
        };
        page.raw("<tr><td>")
            .link("/jobs/", job.id, &job.id.to_string())
            .raw("</td><td>")
            .link("/jobs/", job.id, &name)
            .raw("</td>")
            .element("td", "", &job.workspace.branch)
            .raw("<td>")
            .element("span", job.state.name(), job.state.name());
        if job.num_resets > 0 {
            page.raw(" <span class=\"dim\">given to another executor ")
                .number(job.num_resets)
                .raw(" times</span>");
        }
        page.raw("</td>")
            .element("td", "", job.worker.as_deref().unwrap_or_default())
            .element("td", "dim", &job.started_at.map(time).unwrap_or_default())
            .element("td", "dim", &job.finished_at.map(time).unwrap_or_default())
            .raw("</tr>");
        if let Some(failure) = &job.failure {
            page.raw("<tr><td></td><td colspan=\"6\">")
                .element("pre", "failed", failure)
                .raw("</td></tr>");
        }
    }
    page.end_table();
    page.raw("<h2>Changesets</h2>");
    if changesets.is_empty() {
        page.raw("<p class=\"dim\">None.</p>");
    }
    let mut room = DIFFS_SHOWN;
    for (number, changeset) in (1..).zip(&changesets) {
        let spec = &changeset.spec;
        page.element("h3", "", &spec.title)
            .raw("<p>")
            .text(&spec.repository_name)
            .raw(", branch ")
            .element("code", "", spec.branch())
            .raw(" · <a href=\"/executions/")
            .number(id)
            .raw("/changesets/")
            .number(number)
            .raw("\">patch</a></p>")
            .element("p", "message", &spec.body);
        let shown = &spec.diff[..spec.diff.len().min(DIFF_SHOWN).min(room)];
        room -= shown.len();
        diff(&mut page, shown);
        if shown.len() < spec.diff.len() {
            page.raw("<p class=\"dim\">The rest is in the patch.</p>");
        }
    }
    Ok(page.into_response())
}

fn diff(page: &mut Page, diff: &[u8]) {
    page.raw("<pre>");
    // Lines of a hunk may look like headers.
    let mut in_hunk = false;
    for line in String::from_utf8_lossy(diff).lines() {
        in_hunk = match line.get(..2) {
            Some("@@") => true,
            Some("di") => false,
            _ => in_hunk,
        };
        let class = match line.chars().next() {
            Some('@') if in_hunk => "hunk",
            Some('+') if in_hunk => "add",
            Some('-') if in_hunk => "del",
            _ if in_hunk => "",
            _ => "dim",
        };
        page.element("span", class, line).raw("\n");
    }
    page.raw("</pre>");
}

/// A changeset's diff as it is.
pub(super) async fn patch(
    State(hub): State<Arc<Shared>>,
    Path((id, number)): Path<(i64, usize)>,
) -> Result<Response, Refusal> {
    let changesets = hub
        .store
        .read(move |connection| store::changesets(connection, id))
        .await?;
    let index = number
        .checked_sub(1)
        .ok_or_else(|| not_found("changeset"))?;
    let changeset = changesets.into_iter().nth(index);
    let diff = changeset.ok_or_else(|| not_found("changeset"))?.spec.diff;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], diff).into_response())
}
