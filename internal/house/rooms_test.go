package house

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestRooms holds ARCHITECTURE.md's table against the packages that there are.
func TestRooms(t *testing.T) {
	rooms := roomsOfTable(t)
	for _, room := range rooms {
		if info, err := os.Stat(filepath.Join(root, room)); err != nil || !info.IsDir() {
			t.Errorf("ARCHITECTURE.md has the room %s, which is not there", room)
		}
	}
	for _, pkg := range load(t) {
		room := strings.TrimPrefix(pkg.PkgPath, module+"/")
		if !slices.Contains(rooms, room) {
			t.Errorf("ARCHITECTURE.md has no line for %s", room)
		}
	}
}

// roomsOfTable are the folders that the first column names.
func roomsOfTable(t *testing.T) (rooms []string) {
	text, err := os.ReadFile(filepath.Join(root, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]+`) \\|").FindAllStringSubmatch(string(text), -1) {
		for name := range strings.SplitSeq(row[1], ", ") {
			rooms = append(rooms, strings.Trim(name, "`"))
		}
	}
	return rooms
}
