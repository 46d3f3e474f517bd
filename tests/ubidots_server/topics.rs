//! The topics of devices and variables: what data is published to, and what a subscriber is sent.

use sensegate::mqtt::TopicFilter;

use super::store::Dot;

/// The versions of the API, which stand for each other. The slash in front is part of the topic.
const APIS: [&str; 2] = ["/v1.6/devices/", "/v2.0/devices/"];

/// Where data is published to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// `/v1.6/devices/{device}`: any number of variables.
    Device { device: &'a str },
    /// `/v1.6/devices/{device}/{variable}`: one.
    Variable { device: &'a str, variable: &'a str },
}

impl<'a> Target<'a> {
    /// `^/(v1\.6|v2\.0)/devices/LABEL(/LABEL)?$`; `None` for every other topic.
    pub(super) fn of(topic: &'a str) -> Option<Self> {
        let labels = APIS.iter().find_map(|api| topic.strip_prefix(api))?;
        match labels.split_once('/') {
            None if is_label(labels) => Some(Self::Device { device: labels }),
            Some((device, variable)) if is_label(device) && is_label(variable) => {
                Some(Self::Variable { device, variable })
            }
            _ => None,
        }
    }

    pub(super) const fn device(&self) -> &'a str {
        match self {
            Self::Device { device } | Self::Variable { device, .. } => device,
        }
    }
}

/// `[a-zA-Z0-9_:.-]+`.
pub(super) fn is_label(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:.-".contains(&byte))
}

/// What a dot is told by: topics and payloads, in both versions of the API, whole and as its value alone.
pub(super) fn messages_of(dot: &Dot) -> impl Iterator<Item = (String, String)> {
    APIS.iter().flat_map(|api| {
        let topic = format!("{api}{}/{}", dot.device, dot.variable);
        [(format!("{topic}/lv"), dot.value.to_string()), (topic, dot.to_json())]
    })
}

/// The filter that messages are compared with: that of a share without its `$share/NAME/`. `None` for one outside the
/// API, which yields nothing.
pub(super) fn filter_within_api(filter: &TopicFilter) -> Option<TopicFilter> {
    let (_, inner) = filter.shared().ok()?.unwrap_or(("", filter.as_str()));
    let is_within = ["/v1.6/", "/v2.0/"].iter().any(|api| inner.starts_with(api));
    is_within.then(|| TopicFilter::new(inner).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_names_a_device_and_perhaps_a_variable() {
        let device = Some(Target::Device { device: "my-Rasp_1" });
        let variable = Some(Target::Variable { device: "b8:27:eb:00:00:01", variable: "cpu.t" });
        for (topic, expected) in [
            ("/v1.6/devices/my-Rasp_1", device),
            ("/v2.0/devices/my-Rasp_1", device),
            ("/v1.6/devices/b8:27:eb:00:00:01/cpu.t", variable),
            ("v1.6/devices/d", None),
            ("/v1.5/devices/d", None),
            ("/v1.6/devices/", None),
            ("/v1.6/devices/d/", None),
            ("/v1.6/devices//v", None),
            ("/v1.6/devices/d/v/lv", None),
            ("/v1.6/devices/my rasp", None),
            ("/v1.6/devices/d/température", None),
            ("/v1.6/users/token/devices/d", None),
        ] {
            assert_eq!(Target::of(topic), expected, "{topic}");
        }
    }

    #[test]
    fn filters_outside_the_api_yield_nothing() {
        for (filter, expected) in [
            ("/v1.6/devices/#", Some("/v1.6/devices/#")),
            ("$share/group/v1.6/devices/#", None),
            ("$share/group//v2.0/devices/d/+", Some("/v2.0/devices/d/+")),
            ("#", None),
            ("v1.6/devices/#", None),
        ] {
            let within = filter_within_api(&TopicFilter::new(filter).unwrap());
            assert_eq!(within.as_ref().map(TopicFilter::as_str), expected, "{filter}");
        }
    }
}
