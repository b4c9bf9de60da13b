package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"unicode/utf8"

	"server22.local/appliance/internal/chat"
)

// serveRoomList lists the rooms of the chat that are open to all.
func (a *API) serveRoomList(w http.ResponseWriter, r *http.Request) {
	if !a.allow(w, r, "GET", http.MethodGet) {
		return
	}
	rooms, err := a.cfg.Chat.Rooms(r.Context())
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	a.answer(w, r, map[string]any{"rooms": rooms})
}

// serveMessages reads a room, or says something in it.
func (a *API) serveMessages(w http.ResponseWriter, r *http.Request) {
	if !a.allow(w, r, "GET, POST", http.MethodGet, http.MethodPost) {
		return
	}
	if r.Method == http.MethodPost {
		a.say(w, r)
		return
	}
	ask, err := parseAsk(r)
	page := chat.Page{Room: r.PathValue("room"), Since: ask.since, Limit: ask.limit}
	if text := r.URL.Query().Get("before"); text != "" && err == nil {
		if page.Before, err = strconv.ParseUint(text, 10, 64); err != nil {
			err = badRequest("bad_before", "before is not the number of a message", "before=100")
		}
	}
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	messages, err := a.cfg.Chat.Messages(r.Context(), page)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	a.answer(w, r, map[string]any{"messages": messages})
}

// saying is the body of a message: this object, or the bare text.
type saying struct {
	Nick   string `json:"nick"`
	Text   string `json:"text"`
	ID     string `json:"id"`
	Device string `json:"device"`
}

func (a *API) say(w http.ResponseWriter, r *http.Request) {
	s, err := a.saying(w, r)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	author := chat.Author{Nick: s.Nick, Device: s.Device, Admin: a.cfg.Admin(r)}
	receipt, err := a.cfg.Chat.Post(r.Context(), r.PathValue("room"), author, s.Text, s.ID)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	a.answer(w, r, receipt)
}

func (a *API) saying(w http.ResponseWriter, r *http.Request) (saying, error) {
	q := r.URL.Query()
	s := saying{Nick: q.Get("nick"), ID: q.Get("id")}
	if err := a.writers.check(address(r)); err != nil {
		return s, err
	}
	body, err := a.body(w, r)
	if err != nil {
		return s, err
	}
	body = bytes.TrimSpace(body)
	switch {
	case len(body) > 0 && body[0] == '{' && json.Valid(body):
		if err := json.Unmarshal(body, &s); err != nil {
			return s, badRequest("bad_message", "a field has the wrong type", `{"nick": "ann", "text": "hello"}`)
		}
	case utf8.Valid(body):
		s.Text = string(body)
	default:
		return s, badRequest("bad_message", "the text is not UTF-8", `{"nick": "ann", "text": "hello"}`)
	}
	if s.Nick == "" {
		return s, badRequest("bad_nick", "who says so?", `add ?nick=NAME, or send {"nick": "ann", "text": "hello"}`)
	}
	return s, nil
}
