//! What makes a pair fresh: the flags that choose it.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use postrider_broker::{Broker, LineChoice, Scope, SideChoice, Survey};
use postrider_domain::suggestions;

use crate::Failure;
use crate::broker::failure;

/// What makes a pair fresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum By {
    /// Every version that counts has a result for every line.
    Rule(LineChoice, SideChoice),
    /// Any result is recent.
    AnyResult,
}

/// Which lines and versions count, or that none does.
#[derive(Debug, Args)]
pub(super) struct ByArgs {
    /// Look at the newest contract of this branch of the consumer
    #[arg(long, value_name = "BRANCH", value_parser = NonEmptyStringValueParser::new())]
    branch: Option<String>,
    /// Look at the consumer's newest contract with this tag
    #[arg(long, value_name = "TAG", value_parser = NonEmptyStringValueParser::new())]
    tag: Option<String>,
    /// Look at the consumer's contracts that are deployed or supported in this environment
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    environment: Option<String>,
    /// Ask for results of the provider's versions in this environment
    #[arg(long, value_name = "NAME", conflicts_with = "to_tag", value_parser = NonEmptyStringValueParser::new())]
    to_environment: Option<String>,
    /// Ask for a result of the provider's newest version with this tag
    #[arg(long, value_name = "TAG", value_parser = NonEmptyStringValueParser::new())]
    to_tag: Option<String>,
    /// Ask how old the newest result is, whichever versions it is of
    #[arg(long, conflicts_with_all = ["branch", "tag", "environment", "to_environment", "to_tag"])]
    any_result: bool,
    /// Count successful results only
    #[arg(long, requires = "any_result")]
    success_only: bool,
}

impl ByArgs {
    /// Whether failed results don't count.
    pub(super) fn success_only(&self) -> bool {
        self.success_only
    }

    /// What makes a pair fresh.
    pub(super) fn by(&self) -> By {
        if self.any_result {
            return By::AnyResult;
        }
        let lines = LineChoice {
            branch: self.branch.clone(),
            tag: self.tag.clone(),
            environment: self.environment.clone(),
            branches_since: None,
        };
        let side = match (&self.to_environment, &self.to_tag) {
            (Some(environment), _) => SideChoice::Environment(environment.clone()),
            (None, Some(tag)) => SideChoice::Tag(tag.clone()),
            (None, None) => SideChoice::Broker,
        };
        By::Rule(lines, side)
    }

    /// An environment that nobody created is a mistake, not an empty one.
    pub(super) async fn check_environments(&self, broker: &Broker) -> Result<(), Failure> {
        let asked: Vec<&String> =
            [&self.environment, &self.to_environment].into_iter().flatten().collect();
        if asked.is_empty() {
            return Ok(());
        }
        let survey = Survey::new(broker, Scope::Few);
        let known = survey.environments().await.map_err(|error| failure(&error))?;
        match asked.into_iter().find(|name| !known.contains(name)) {
            None => Ok(()),
            Some(name) => {
                let hint = suggestions::hint(name, known.iter().map(String::as_str));
                let what = format!("the broker knows no environment named {name:?}{hint}");
                Err(Failure::usage(what).fix("write the name as the broker shows it"))
            }
        }
    }
}
