package app

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
)

// The administrator's button ends the program, whoever asked gets the answer,
// and the process is told to begin anew.
func TestRestart(t *testing.T) {
	a := construct(t, "")
	done := make(chan error, 1)
	go func() { done <- a.Run(t.Context()) }()
	r := &running{a, waitForURL(t, a, done)}
	cookie := r.session(t)
	if resp, body := r.ask(t, "POST", "/api/v1/admin/restart", "", "Cookie", cookie); resp.StatusCode != http.StatusAccepted {
		t.Errorf("asking for a restart: %s %s", resp.Status, body)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := <-done; !errors.Is(err, ErrRestart) {
		t.Errorf("Run returned %v, want ErrRestart", err)
	}
}

func TestRoomsOfTheConfigurationAreLive(t *testing.T) {
	r := start(t, "")
	cookie := r.session(t)
	r.ask(t, "PATCH", "/api/v1/admin/settings", `{"chat.rooms":"lobby,7b"}`, "Cookie", cookie)
	if _, body := r.ask(t, "GET", "/api/v1/rooms", ""); !strings.Contains(string(body), `"room":"7b"`) {
		t.Errorf("the rooms are %s", body)
	}
	if _, body := r.ask(t, "GET", "/api/v1/status", ""); strings.Contains(string(body), "restart") {
		t.Errorf("a restart is asked for: %s", body)
	}
}

// What is changed on the network at once waits for no restart.
func TestAliasesAreLive(t *testing.T) {
	r := start(t, "")
	cookie := r.session(t)
	resp, body := r.ask(t, "PATCH", "/api/v1/admin/settings", `{"discovery.aliases":"chat","discovery.cnames":"old"}`, "Cookie", cookie)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("answered %s %s", resp.Status, body)
	}
	if _, body := r.ask(t, "GET", "/api/v1/status", ""); strings.Contains(string(body), "restart") {
		t.Errorf("a restart is asked for: %s", body)
	}
}

// A backup comes back by the page, and counts of messages are of what is kept.
func TestRestoreOverHTTP(t *testing.T) {
	r := start(t, "")
	cookie := r.session(t)
	say := func(text string) {
		t.Helper()
		if resp, body := r.ask(t, "POST", "/api/v1/rooms/lobby/messages?nick=ann", text); resp.StatusCode != http.StatusOK {
			t.Fatalf("saying: %s %s", resp.Status, body)
		}
	}
	say("before")
	_, backup := r.ask(t, "GET", "/api/v1/admin/backup", "", "Cookie", cookie)
	say("after")
	if _, body := r.ask(t, "GET", "/api/v1/admin/rooms", "", "Cookie", cookie); !strings.Contains(string(body), `"messages":2`) {
		t.Errorf("two messages are kept: %s", body)
	}
	if resp, body := r.ask(t, "PUT", "/api/v1/admin/backup", string(backup), "Cookie", cookie); resp.StatusCode != http.StatusNoContent {
		t.Fatalf("restoring: %s %s", resp.Status, body)
	}
	_, body := r.ask(t, "GET", "/api/v1/rooms/lobby/messages", "")
	if bytes.Contains(body, []byte("after")) || !bytes.Contains(body, []byte("before")) {
		t.Errorf("the room is %s", body)
	}
}

// A file of an administrator may be larger than what strangers send.
func TestLargeFilesOfTheAdministrator(t *testing.T) {
	r := start(t, "realtime.max_payload = '1KiB'\n")
	cookie, large := r.session(t), strings.Repeat("x", 2<<10)
	if resp, _ := r.ask(t, "PUT", "/api/v1/topics/lab", large); resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a value: %s, want 413", resp.Status)
	}
	if resp, body := r.ask(t, "PUT", "/api/v1/admin/backup", large, "Cookie", cookie); !bytes.Contains(body, []byte("no_backup")) {
		t.Errorf("a backup: %s %s", resp.Status, body)
	}
}

func TestReportHasNoSecrets(t *testing.T) {
	r := start(t, "access.token = 'planted-secret-token'\n")
	var report bytes.Buffer
	if err := r.Report(t.Context(), &report); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"== status", "== doctor", "== configuration", "== black box"} {
		if !strings.Contains(report.String(), want) {
			t.Errorf("the report has no %q", want)
		}
	}
	if strings.Contains(report.String(), "planted-secret") {
		t.Error("the report has the token")
	}
}
