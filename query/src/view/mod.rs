//! Map/reduce views of one shard copy: what a design document defines (`definition`), how rows are
//! encoded (`row`), what documents look like to a map (`document`), how indexes are brought up to date
//! (`build`), how rows and groups are read (`range`, `rows`, `groups`), and how reductions of several
//! shards become one (`reduce`); engines that wait for work (`spares`). Synchronous; never knows which shards there are, never answers a
//! request.

mod build;
mod definition;
mod document;
mod groups;
mod mapper;
mod range;
mod reduce;
mod row;
mod rows;
mod spares;
mod work;

#[cfg(test)]
mod tests;

pub use build::{Build, BuildError, Pace, Progress, Target};
pub use definition::{Definition, DefinitionError, MapDef, MapSource, View};
pub use groups::{GroupRow, Grouping, Groups};
pub use mapper::{Program, Programs};
pub use range::{Behind, Keys, RowRange};
pub use reduce::{Answer, Reduce, Reducing, Setup, carry, forsake, lacks, open_index};
pub use row::ViewRow;
pub(crate) use row::put_partition;
pub use rows::Rows;
pub use spares::Spares;
