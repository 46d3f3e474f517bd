//! What the device says of itself: an i2c-tiny-usb without endpoints beside the control endpoint, and without texts.

/// USB 2.0 table 9-5.
const DEVICE: u16 = 1;
const CONFIGURATION: u16 = 2;

/// The descriptor of a type and index; `None` for those that a full-speed device without texts does not have.
pub(super) fn descriptor(value: u16) -> Option<Vec<u8>> {
    match value >> 8 {
        DEVICE => Some(device().to_vec()),
        CONFIGURATION => Some(configuration().to_vec()),
        _ => None,
    }
}

/// USB 1.1, vendor's class, 8 bytes a packet, 0403:c631, release 2.05, no texts, one configuration.
const fn device() -> [u8; 18] {
    [18, 1, 0x10, 0x01, 0xff, 0, 0, 8, 0x03, 0x04, 0x31, 0xc6, 0x05, 0x02, 0, 0, 0, 1]
}

/// One configuration of 18 bytes, powered by the bus with 50 mA, and its one interface of the vendor's class.
const fn configuration() -> [u8; 18] {
    [9, 2, 18, 0, 1, 1, 0, 0x80, 25, 9, 4, 0, 0, 0, 0xff, 0, 0, 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_that_the_descriptors_tell() {
        let device = descriptor(0x0100).unwrap();
        assert_eq!(device.len(), usize::from(device[0]));
        let configuration = descriptor(0x0200).unwrap();
        assert_eq!(configuration.len(), usize::from(u16::from_le_bytes([configuration[2], configuration[3]])));
        assert_eq!(configuration.len(), usize::from(configuration[0]) + usize::from(configuration[9]));
    }

    #[test]
    fn texts_and_what_only_fast_devices_have_are_not_there() {
        for kind in [3, 6, 15] {
            assert_eq!(descriptor(kind << 8), None);
        }
    }
}
