//! ActiveMQ 5 with its MQTT connector.
//!
//! Debian's package has the connector but not the codec it needs, which is in `libmqtt-client-java`.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::place::Place;
use crate::server::{Engine, Server, has_program};

/// Where Debian has it.
const HOME: &str = "/usr/share/activemq";
const CODEC: &str = "/usr/share/java/mqtt-client.jar";

/// A running ActiveMQ.
pub(crate) struct ActiveMq(Server);

impl ActiveMq {
    /// Whether it and the codec are installed.
    pub(crate) fn is_installed() -> bool {
        has_program("java") && Path::new(HOME).join("lib/activemq-mqtt.jar").exists() && Path::new(CODEC).exists()
    }

    /// Starts one that lets everybody in.
    pub(crate) fn start(place: &Place) -> Self {
        Self(Server::start(place, configure, command))
    }
}

impl Engine for ActiveMq {
    fn name(&self) -> &'static str {
        "activemq"
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        vec![self.0.address()]
    }

    fn directory(&self) -> &Path {
        self.0.directory()
    }

    fn stop(&mut self) {
        self.0.stop();
    }

    fn kill(&mut self) {
        self.0.kill();
    }

    fn start_again(&mut self) {
        self.0.start_again();
    }

    fn printed(&self) -> String {
        self.0.printed()
    }
}

/// Its launcher takes every jar in `lib` of its base.
fn configure(directory: &Path, address: SocketAddr) {
    fs::create_dir(directory.join("lib")).unwrap();
    symlink(CODEC, directory.join("lib/mqtt-client.jar")).unwrap();
    let data = directory.join("data");
    let data = data.display();
    let broker = format!(
        r#"<beans xmlns="http://www.springframework.org/schema/beans"
  xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  xsi:schemaLocation="http://www.springframework.org/schema/beans
  http://www.springframework.org/schema/beans/spring-beans-2.0.xsd
  http://activemq.apache.org/schema/core http://activemq.apache.org/schema/core/activemq-core.xsd">
  <broker xmlns="http://activemq.apache.org/schema/core" useJmx="false" brokerName="far" dataDirectory="{data}">
    <persistenceAdapter><kahaDB directory="{data}/kahadb"/></persistenceAdapter>
    <transportConnectors><transportConnector name="mqtt" uri="mqtt://{address}"/></transportConnectors>
  </broker>
</beans>
"#
    );
    fs::write(directory.join("activemq.xml"), broker).unwrap();
    let log = "log4j.rootLogger=INFO, out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\n\
               log4j.appender.out.layout=org.apache.log4j.SimpleLayout\n";
    fs::write(directory.join("log4j.properties"), log).unwrap();
}

/// Its own script would put a shell between.
fn command(directory: &Path) -> Command {
    let base = directory.display();
    let mut command = Command::new("java");
    command
        .args(["-Xms64m", "-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        .arg(format!("-Dlog4j.configuration=file:{base}/log4j.properties"))
        .arg(format!("-Djava.io.tmpdir={base}"))
        .arg(format!("-Dactivemq.home={HOME}"))
        .args(["base", "conf"].map(|name| format!("-Dactivemq.{name}={base}")))
        .arg(format!("-Dactivemq.data={base}/data"))
        .arg("-jar")
        .arg(format!("{HOME}/bin/activemq.jar"))
        .arg("start")
        .arg(format!("xbean:file:{base}/activemq.xml"));
    command
}
