//! How an event came into the ledger.

use crate::text_enum::text_enum;

text_enum! {
    /// How an event came into the ledger.
    DeliverySource {
        /// The forge sent a webhook.
        Webhook = "webhook",
        /// It was found in the delivery log of a hook.
        ReadBack = "read_back",
        /// A schedule of the project's settings.
        Schedule = "schedule",
        /// A member of staff.
        Manual = "manual",
    }
}
