//! What is measured beside somebody else doing the same.

#![expect(
    clippy::print_stdout,
    reason = "printing figures is what these programs are for"
)]

use std::time::Duration;

use crate::measure::{goal, keep, ratio, shown};

/// Prints two lines: what a rival takes, and what we take, which should be `at_most` so many times as long.
pub(crate) fn compared(figure: &str, ours: Duration, rival: &str, theirs: Duration, at_most: f64) {
    let ratio = ratio(ours, theirs);
    let (ours, theirs) = (shown(ours), shown(theirs));
    let goal = goal(&format!("at most {at_most} of the above"), ratio <= at_most);
    println!("| {rival} | {theirs} | |");
    println!("| {figure} | {ours}, {ratio:.2} of the above | {goal} |");
    keep(figure, &ours, Some((rival, &theirs, ratio)), &goal);
}
