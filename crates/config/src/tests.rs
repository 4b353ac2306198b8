//! Tables for resolving settings, by subject.

mod clients;
mod every;
mod given;
mod lanes;
mod modes;
mod monitor;
mod places;
mod proxies;
mod traces;
