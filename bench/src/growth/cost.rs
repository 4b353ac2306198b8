//! What a delivery costs, over what has gathered and over nothing, in turn.

use anyhow::Result;

use super::{EMPTY, GROWN};
use crate::args::{Format, Growth};
use crate::report::Summary;
use crate::rounds;
use crate::scenario;
use crate::services::Services;
use crate::target::Target;

pub(super) async fn measure(growth: &Growth, services: &mut Services) -> Result<String> {
    let target = Target::start().await?;
    let scenario = scenario::over(&growth.program, growth.events, &[EMPTY, GROWN]);
    let measured = rounds::measure(&scenario, growth.rounds, services, &target).await?;
    Ok(format!("{}\n", Summary::of(&measured).table(Format::Markdown)))
}
