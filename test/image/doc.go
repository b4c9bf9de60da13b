// Package image boots the card image that `make image` has built, as a
// Raspberry Pi would, on a LAN with a DHCP server and a desktop of today, and
// does to it what its owner will: settings on the FAT partition, SSH, Wi-Fi,
// updates, and pulling the plug. `make test-image` runs it; the environment
// variable APPLIANCE_IMAGE says which image. Without it everything is skipped.
//
// It needs root, what test/all installs, qemu-system-arm and mtools. On two
// processors with nothing else to do TestCard and TestOwners took 4 minutes,
// TestUpdates 5 and TestRaspberryPi3 3; beside other work, twice as long.
package image
