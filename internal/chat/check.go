package chat

import (
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"server22.local/appliance/internal/problem"
)

// Bounds of what people write. Lengths are in characters, but for the text.
const (
	maxRoom    = 64
	maxNick    = 40
	maxID      = 128
	maxText    = 16_384 // bytes
	maxJoined  = 64     // rooms a client may be in
	maxMinutes = 60 * 24 * 365
)

func bad(code, hint, format string, args ...any) error {
	return problem.New(http.StatusBadRequest, code, fmt.Sprintf(format, args...), hint)
}

func forbidden(code, hint, format string, args ...any) error {
	return problem.New(http.StatusForbidden, code, fmt.Sprintf(format, args...), hint)
}

func noRoom(name string) error {
	hint := "join it, and there is"
	if isDirect(name) {
		hint = "emit direct to talk with somebody alone"
	}
	return problem.New(http.StatusNotFound, "no_room", fmt.Sprintf("there is no room %q", name), hint)
}

// checkRoom refuses what cannot be the name of a room.
func checkRoom(name string) error {
	return checkName("room", name, maxRoom)
}

// cleanNick returns the name as it is shown, or refuses it.
func cleanNick(nick string) (string, error) {
	nick = strings.Join(strings.Fields(nick), " ")
	return nick, checkName("nick", nick, maxNick)
}

func checkName(what, name string, most int) error {
	hint := fmt.Sprintf("choose 1 to %d characters", most)
	switch {
	case name == "":
		return bad("bad_"+what, hint, "the %s is empty", what)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, hidden):
		return bad("bad_"+what, hint, "the %s has characters that cannot be seen", what)
	case utf8.RuneCountInString(name) > most:
		return bad("bad_"+what, hint, "the %s is longer than %d characters", what, most)
	}
	return nil
}

// hidden characters would make two names look like one. The joiner is part of
// some emoji.
func hidden(r rune) bool {
	const joiner = '\u200d'
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) && r != joiner || r == '\u2028' || r == '\u2029'
}

func checkText(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return bad("no_text", `{"room": "lobby", "text": "hello"}`, "the message has no text")
	case len(text) > maxText:
		return problem.New(http.StatusRequestEntityTooLarge, "too_large",
			fmt.Sprintf("the text has %d bytes; %d are allowed", len(text), maxText), "say it in parts")
	}
	return nil
}

func checkLimit(limit int) error {
	if limit < 0 {
		return bad("bad_limit", "leave it out, or name a number of messages", "the limit is less than nothing")
	}
	return nil
}

func checkID(id string) error {
	if utf8.RuneCountInString(id) > maxID {
		return bad("bad_id", "a random token will do", "the id is longer than %d characters", maxID)
	}
	return nil
}

// firstOf returns the first of several reasons to refuse.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
