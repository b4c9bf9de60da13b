package card

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// dataLabel names the data partition's file system.
const dataLabel = "appl-data"

// dataNumber is the data partition's number: behind the FAT partition and the
// root.
const dataNumber = 3

// mountData mounts the data partition, and makes it first if this is the
// card's first boot, or if the first boot was cut short.
func (c *Card) mountData(ctx context.Context) error {
	disk, err := rootDisk("/")
	if err != nil {
		return fmt.Errorf("finding the card: %w", err)
	}
	device, err := c.ensureData(ctx, disk)
	if err != nil {
		return err
	}
	return c.mountDevice(ctx, device)
}

// mountDevice mounts the data partition of a device after a power cut: mended
// as is safe, else as it can be, since nobody is there to be asked.
func (c *Card) mountDevice(ctx context.Context, device string) error {
	err := run(ctx, "e2fsck", "-p", device)
	if exitCode(err) <= 1 { // 1: errors corrected
		err = c.mountChecked(device)
	}
	if err == nil {
		return nil
	}
	c.Logger.Warn("mending the data partition", "device", device, "because", err)
	if err := run(ctx, "e2fsck", "-fy", device); exitCode(err) > 1 {
		c.Logger.Warn("mending the data partition", "device", device, "err", err)
	}
	return c.mountChecked(device)
}

func (c *Card) mountChecked(device string) error {
	const flags = unix.MS_NOATIME | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount(device, c.Data, "ext4", flags, "commit=30"); err != nil {
		return fmt.Errorf("mounting %s: %w", device, err)
	}
	return nil
}

// ensureData returns the data partition of a disk, made if need be. Each step
// can be cut short and done again at the next boot: the partition is appended
// in one write of the partition table, and the label, by which a complete file
// system is known, is written last.
func (c *Card) ensureData(ctx context.Context, disk string) (string, error) {
	device := partition(disk, dataNumber)
	if !isBlockDevice(device) {
		c.Logger.Info("making the data partition", "disk", disk)
		start, err := behind(ctx, disk)
		if err != nil {
			return "", err
		}
		if err := hasRoom(disk, start); err != nil {
			return "", err
		}
		line := fmt.Sprintf("start=%dMiB, size=+, type=83\n", start)
		if err := pipe(ctx, line, "sfdisk", "--append", "--no-reread", "--no-tell-kernel", "--wipe", "never", disk); err != nil {
			return "", fmt.Errorf("appending a partition to %s: %w", disk, err)
		}
		if err := run(ctx, "partx", "--update", "--nr", strconv.Itoa(dataNumber), disk); err != nil {
			if err := run(ctx, "partx", "--add", "--nr", strconv.Itoa(dataNumber), disk); err != nil {
				return "", fmt.Errorf("telling the kernel of the new partition: %w", err)
			}
		}
		if err := waitForDevice(ctx, device); err != nil {
			return "", err
		}
	}
	label, err := exec.CommandContext(ctx, "blkid", "-p", "-s", "LABEL", "-o", "value", device).Output()
	if err != nil && exitCode(err) != 2 { // 2: nothing known on it
		return "", fmt.Errorf("looking at %s: %w", device, err)
	}
	if strings.TrimSpace(string(label)) == dataLabel {
		return device, nil
	}
	c.Logger.Info("making the data partition's file system", "device", device)
	if err := run(ctx, "mke2fs", "-q", "-F", "-t", "ext4", "-m", "1", "-E", "lazy_itable_init=1,lazy_journal_init=1,discard", device); err != nil {
		return "", fmt.Errorf("making the file system on %s: %w", device, err)
	}
	if err := run(ctx, "e2label", device, dataLabel); err != nil {
		return "", fmt.Errorf("labelling %s: %w", device, err)
	}
	unix.Sync()
	return device, nil
}

// behind returns where the next partition of a disk may begin, in MiB: the
// first multiple of 4, the erase block of most cards, after the last one. Left
// to itself sfdisk would take the gap before the first.
func behind(ctx context.Context, disk string) (int64, error) {
	out, err := exec.CommandContext(ctx, "sfdisk", "--json", disk).Output()
	if err != nil {
		return 0, fmt.Errorf("reading the partitions of %s: %w", disk, err)
	}
	var read struct {
		Table struct {
			SectorSize int64
			Partitions []struct{ Start, Size int64 }
		} `json:"partitiontable"`
	}
	if err := json.Unmarshal(out, &read); err != nil {
		return 0, fmt.Errorf("reading the partitions of %s: %w", disk, err)
	}
	var end int64 // in sectors
	for _, p := range read.Table.Partitions {
		end = max(end, p.Start+p.Size)
	}
	const block = 4 << 20
	return (end*max(read.Table.SectorSize, 512) + block - 1) / block * (block >> 20), nil
}

// minData is the least that a data partition is made of, in MiB.
const minData = 32

// hasRoom says if a disk ends too soon behind start, in MiB: the image was
// started as it is, or the card is small.
func hasRoom(disk string, start int64) error {
	file, err := os.Open(disk)
	if err != nil {
		return err
	}
	defer file.Close()
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if left := size>>20 - start; left < minData {
		return fmt.Errorf("%s has %d MiB of room behind the system, and needs at least %d: take a card of 4 GB or more", disk, max(left, 0), minData)
	}
	return nil
}

// rootDisk finds the disk that holds the file system mounted at path.
func rootDisk(path string) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return "", &os.PathError{Op: "stat", Path: path, Err: err}
	}
	link := fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	dir, err := filepath.EvalSymlinks(link)
	if err != nil {
		return "", fmt.Errorf("%s is on no disk: %w", path, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "partition")); err != nil {
		return "", fmt.Errorf("%s is on a whole disk, not on a partition", path)
	}
	return "/dev/" + filepath.Base(filepath.Dir(dir)), nil
}

// partition names the nth partition of a disk: sda3, but mmcblk0p3.
func partition(disk string, n int) string {
	if last := disk[len(disk)-1]; last >= '0' && last <= '9' {
		disk += "p"
	}
	return disk + strconv.Itoa(n)
}

func isBlockDevice(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().Type() == os.ModeDevice
}

// waitForDevice waits for udev or devtmpfs to make the node.
func waitForDevice(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for !isBlockDevice(path) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s did not appear", path)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

func run(ctx context.Context, name string, args ...string) error {
	return pipe(ctx, "", name, args...)
}

// pipe runs a program with input; the error has what it complained of.
func pipe(ctx context.Context, input, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// exitCode is the program's, or -1 if it did not run.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	return -1
}
