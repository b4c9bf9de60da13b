// Package card is the root helper of the card image: at each boot, before
// anything else of ours, it makes or mounts the data partition, resets the
// device if its owner asked for that, and takes the settings that its owner
// wrote on the FAT partition.
//
// Nothing here may stop the boot. A step that fails is logged and told to the
// owner (on the console and the home page, by way of the problem file), and
// the next one is tried: a device that is reachable with its defaults can be
// mended, one that is not must be taken down from its ceiling.
//
// The card:
//
//	1  FAT32  appliance.toml, firmware, kernel       /boot/firmware, read-only
//	2  ext4   the system                             /, read-only for ever
//	3  ext4   what must survive                      /data, made at first boot
package card
