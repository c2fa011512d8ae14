//! Settings that every role with a port of its own shares.

use std::net::SocketAddr;

use role::Reader;

/// What a role is told about showing itself.
#[derive(Clone, Debug, Default)]
pub struct TelemetrySettings {
    /// Where metrics, health and readiness can be asked for; none: nowhere.
    pub metrics_bind: Option<SocketAddr>,
    /// The collector that spans are sent to, without `/v1/traces`; none: there are no traces.
    pub otlp_endpoint: Option<String>,
}

impl TelemetrySettings {
    /// Reads the settings. All of them may be absent.
    #[must_use]
    pub fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            metrics_bind: reader.optional("METRICS_BIND", "give an address and a port, such as 0.0.0.0:9090"),
            otlp_endpoint: otlp_endpoint(reader),
        }
    }
}

fn otlp_endpoint(reader: &mut Reader<'_>) -> Option<String> {
    const NAME: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const FIX: &str =
        "write http(s)://host:port of a collector that takes OTLP over HTTP, such as http://127.0.0.1:4318";
    let text: String = reader.optional(NAME, FIX)?;
    let uri: Option<http::Uri> = text.parse().ok();
    let fits = uri.is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
    if !fits {
        reader.complain(NAME, "is not the address of a collector", FIX);
    }
    fits.then_some(text)
}

#[cfg(test)]
mod tests {
    use role::Environment;

    use super::*;

    fn read(given: [(&str, &str); 2]) -> Result<TelemetrySettings, role::ConfigErrors> {
        let environment: Environment = given.into_iter().collect();
        let mut reader = Reader::new(&environment);
        let settings = TelemetrySettings::read(&mut reader);
        reader.finish(Some(settings))
    }

    #[test]
    fn both_may_be_absent_and_what_is_there_must_fit() {
        let none = read([("METRICS_BIND", ""), ("OTEL_EXPORTER_OTLP_ENDPOINT", "")]).unwrap();
        assert!(none.metrics_bind.is_none() && none.otlp_endpoint.is_none());
        let both = read([("METRICS_BIND", "[::1]:9090"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://otel:4318")]).unwrap();
        assert_eq!(
            (both.metrics_bind.unwrap().port(), both.otlp_endpoint.unwrap().as_str()),
            (9090, "http://otel:4318")
        );
        let errors = read([("METRICS_BIND", "9090"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "otel:4317")]).unwrap_err();
        assert_eq!(errors.0.len(), 2, "{errors}");
    }
}
