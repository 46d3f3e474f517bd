//! A USB adapter for I²C that no hardware stands behind: an i2c-tiny-usb, brought to this machine's kernel by USB/IP.
//!
//! - Holds the bus (shared with whoever makes faults) and the connection to the kernel while it is plugged in.
//! - Never enters: chips. The kernel's own `i2c-tiny-usb` and `i2c-dev` make a real adapter and `/dev/i2c-N` of it.
//! - Needs root and the modules `vhci-hcd`, `i2c-tiny-usb` and `i2c-dev`, so a machine of its own.
//! - Follows `Documentation/usb/usbip_protocol.rst` and `drivers/i2c/busses/i2c-tiny-usb.c` of the Linux kernel, and
//!   USB 2.0 chapter 9.
//!
//! Start reading at [`UsbAdapter::plug`]; `wire` is USB/IP, `descriptors` what the device says of itself, `tiny` what
//! it does.

mod descriptors;
mod tiny;
mod wire;

use std::fs;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use embedded_hal::i2c::I2c;

use tiny::Tiny;
use wire::{HEADER_BYTES, Request};

/// Where the virtual host controller takes devices: `port descriptor device speed`.
const ATTACH: &str = "/sys/devices/platform/vhci_hcd.0/attach";
/// Bus 1, device 2: any number that is not 0 will do.
const DEVICE: u32 = 1 << 16 | 2;
/// `USB_SPEED_FULL`.
const FULL_SPEED: u32 = 2;
/// The kernel needs a moment to let go of the port of a device that was pulled out.
const PORT_TRIES: u32 = 100;
const PORT_WAIT: Duration = Duration::from_millis(50);

/// An adapter that can be plugged in and pulled out.
pub struct UsbAdapter<I> {
    bus: Arc<Mutex<I>>,
    plugged: Option<UnixStream>,
}

impl<I: I2c + Send + 'static> UsbAdapter<I> {
    /// An adapter with `bus` behind it, which is not plugged in.
    pub fn new(bus: Arc<Mutex<I>>) -> Self {
        Self { bus, plugged: None }
    }

    /// Plugs it in, unless it is. The kernel finds out what it is, and makes `/dev/i2c-N`, in its own time.
    ///
    /// # Errors
    /// Without root or `vhci-hcd`, and when the port does not become free within five seconds.
    pub fn plug(&mut self) -> io::Result<()> {
        if self.plugged.is_some() {
            return Ok(());
        }
        let (ours, kernels) = UnixStream::pair()?;
        attach(&kernels)?;
        let (served, bus) = (ours.try_clone()?, Arc::clone(&self.bus));
        // It ends with the connection, which is how a device is pulled out.
        thread::spawn(move || serve(served, Tiny::new(bus)));
        self.plugged = Some(ours);
        Ok(())
    }

    /// Pulls it out, if it is plugged in.
    ///
    /// # Errors
    /// When the connection cannot be shut down.
    pub fn unplug(&mut self) -> io::Result<()> {
        self.plugged.take().map_or(Ok(()), |connection| connection.shutdown(Shutdown::Both))
    }
}

/// Hands the kernel its end of the connection. It takes the file behind the descriptor, which may be closed then.
fn attach(kernels: &UnixStream) -> io::Result<()> {
    let line = format!("0 {} {DEVICE} {FULL_SPEED}", kernels.as_raw_fd());
    let mut result = fs::write(ATTACH, &line);
    for _ in 1..PORT_TRIES {
        match &result {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => thread::sleep(PORT_WAIT),
            _ => break,
        }
        result = fs::write(ATTACH, &line);
    }
    result
}

/// Answers until the kernel or [`UsbAdapter::unplug`] ends the connection.
fn serve<I: I2c>(mut kernel: UnixStream, mut device: Tiny<I>) {
    let mut header = [0; HEADER_BYTES];
    while kernel.read_exact(&mut header).is_ok() {
        let Some(answer) = answer(&mut kernel, &mut device, &header) else { return };
        if kernel.write_all(&answer).is_err() {
            return;
        }
    }
}

fn answer<I: I2c>(kernel: &mut UnixStream, device: &mut Tiny<I>, header: &[u8; HEADER_BYTES]) -> Option<Vec<u8>> {
    match Request::decode(header)? {
        Request::Submit(submit) => {
            let mut sent = vec![0; submit.sent_bytes()];
            kernel.read_exact(&mut sent).ok()?;
            Some(submit.answer(device.control(submit.setup, &sent)))
        }
        Request::Unlink { number } => Some(wire::answer_unlink(number)),
    }
}
