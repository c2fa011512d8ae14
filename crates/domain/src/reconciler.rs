//! Reconcilers: what goes and looks at the real state from time to time, and repairs.

use crate::text_enum::text_enum;

text_enum! {
    /// A reconciler. The words are in ids of schedules and in a table.
    Reconciler {
        /// Makes partitions of the days and months to come.
        PartitionsAhead = "partitions_ahead",
        /// Reads deliveries back that did not reach us.
        MissedDeliveries = "missed_deliveries",
        /// Tells the engine about the schedules of the projects' settings.
        ProjectSchedules = "project_schedules",
        /// Ends Jobs that no attempt needs, and removes namespaces of projects that are gone.
        StrayJobs = "stray_jobs",
        /// Deletes what is kept for a time only.
        Retention = "retention",
    }
}
