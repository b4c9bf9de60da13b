package app

import (
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// schema is what of JSON Schema the description uses.
type schema struct {
	Ref        string            `json:"$ref"`
	Type       string            `json:"type"`
	Properties map[string]schema `json:"properties"`
	Required   []string          `json:"required"`
	Items      *schema           `json:"items"`
	Enum       []string          `json:"enum"`
}

type operation struct {
	Summary   string
	Responses map[string]struct {
		Description string
		Content     map[string]struct{ Schema schema }
	}
}

type description struct {
	OpenAPI    string
	Paths      map[string]map[string]operation
	Components struct{ Schemas map[string]schema }
}

func describe(t *testing.T) description {
	t.Helper()
	var d description
	if err := json.Unmarshal(openapi, &d); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(d.OpenAPI, "3.1") || len(d.Paths) < 20 {
		t.Fatalf("OpenAPI %q with %d paths", d.OpenAPI, len(d.Paths))
	}
	return d
}

// check returns what is wrong with a value.
func (d description) check(s schema, v any, at string) []string {
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		target, known := d.Components.Schemas[name]
		if !known {
			return []string{at + ": there is no schema " + name}
		}
		return d.check(target, v, at)
	}
	if wrong := checkType(s, v); wrong != "" {
		return []string{at + " " + wrong}
	}
	var wrong []string
	switch v := v.(type) {
	case map[string]any:
		wrong = d.checkObject(s, v, at)
	case []any:
		if s.Items == nil {
			break
		}
		for i, item := range v {
			wrong = append(wrong, d.check(*s.Items, item, fmt.Sprintf("%s[%d]", at, i))...)
		}
	case string:
		if len(s.Enum) > 0 && !slices.Contains(s.Enum, v) {
			wrong = append(wrong, fmt.Sprintf("%s is %q, not one of %q", at, v, s.Enum))
		}
	}
	return wrong
}

func (d description) checkObject(s schema, v map[string]any, at string) (wrong []string) {
	for _, name := range s.Required {
		if _, ok := v[name]; !ok {
			wrong = append(wrong, at+" has no "+name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		property, known := s.Properties[name]
		if !known && len(s.Properties) > 0 {
			wrong = append(wrong, at+"."+name+" is not described")
			continue
		}
		wrong = append(wrong, d.check(property, v[name], at+"."+name)...)
	}
	return wrong
}

func checkType(s schema, v any) string {
	ok := true
	switch s.Type {
	case "object":
		_, ok = v.(map[string]any)
	case "array":
		_, ok = v.([]any)
	case "string":
		_, ok = v.(string)
	case "boolean":
		_, ok = v.(bool)
	case "number":
		_, ok = v.(float64)
	case "integer":
		n, number := v.(float64)
		ok = number && n == float64(int64(n))
	}
	if !ok {
		return fmt.Sprintf("is %v, not a %s", v, s.Type)
	}
	return ""
}

// TestDescriptionNamesEveryRoute compares the description with the mux, both
// ways.
func TestDescriptionNamesEveryRoute(t *testing.T) {
	r, d := start(t, ""), describe(t)
	described := map[string]bool{}
	for path, operations := range d.Paths {
		for method := range operations {
			described[strings.ToUpper(method)+" "+path] = true
			described[path] = true
		}
	}
	routed := map[string]bool{}
	for _, pattern := range r.server.Patterns() {
		pattern = strings.ReplaceAll(pattern, "...}", "}")
		routed[pattern] = true
		if pattern == "/" || pattern == "/api/" || pattern == "/socket.io/" {
			continue
		}
		if !described[pattern] {
			t.Errorf("%s is not described", pattern)
		}
	}
	for path, operations := range d.Paths {
		for method := range operations {
			if !routed[path] && !routed[strings.ToUpper(method)+" "+path] {
				t.Errorf("%s %s is described, and nobody answers it", method, path)
			}
		}
	}
}

// TestAnswersAreAsDescribed asks for everything, as a visitor and as the
// administrator, and holds each answer against the description.
func TestAnswersAreAsDescribed(t *testing.T) {
	r, d := start(t, ""), describe(t)
	cookie := r.session(t)
	for _, step := range []struct {
		method, path, route, body string
		status                    int
	}{
		{"GET", "/healthz", "", "", 200},
		{"GET", "/readyz", "", "", 200},
		{"GET", "/metrics", "", "", 200},
		{"GET", "/api/v1/openapi.json", "", "", 200},
		{"GET", "/api/v1/status", "", "", 200},
		{"GET", "/api/v1/qr.svg", "", "", 200},
		{"PUT", "/api/v1/topics/lab/temp", "/api/v1/topics/{topic}", "21.5", 200},
		{"POST", "/api/v1/topics/lab/temp", "/api/v1/topics/{topic}", "\x00\xff", 200},
		{"POST", "/api/v1/topics/lab/%23", "/api/v1/topics/{topic}", "1", 400},
		{"GET", "/api/v1/topics", "", "", 200},
		{"GET", "/api/v1/topics/lab/temp", "/api/v1/topics/{topic}", "", 200},
		{"GET", "/api/v1/topics/lab/temp?since=all", "/api/v1/topics/{topic}", "", 200},
		{"GET", "/api/v1/topics/nothing", "/api/v1/topics/{topic}", "", 404},
		{"GET", "/api/v1/topics/lab?since=x", "/api/v1/topics/{topic}", "", 400},
		{"DELETE", "/api/v1/topics/lab/temp", "/api/v1/topics/{topic}", "", 204},
		{"POST", "/api/v1/rooms/lobby/messages?nick=me", "/api/v1/rooms/{room}/messages", "hello", 200},
		{"POST", "/api/v1/rooms/lobby/messages", "/api/v1/rooms/{room}/messages", "hello", 400},
		{"GET", "/api/v1/rooms/lobby/messages", "/api/v1/rooms/{room}/messages", "", 200},
		{"GET", "/api/v1/rooms", "", "", 200},
		{"POST", "/api/v1/admin/claim", "", `{"code":"x","password":"long enough"}`, 409},
		{"POST", "/api/v1/admin/login", "", `{"password":"not that one"}`, 403},
		{"GET", "/api/v1/admin/settings", "", "", 200},
		{"PATCH", "/api/v1/admin/settings", "", `{"log.level":"debug"}`, 200},
		{"PATCH", "/api/v1/admin/settings", "", `{"log.level":"loud"}`, 422},
		{"GET", "/api/v1/admin/events", "", "", 200},
		{"GET", "/api/v1/admin/sockets", "", "", 200},
		{"DELETE", "/api/v1/admin/sockets/none", "/api/v1/admin/sockets/{sid}", "", 404},
		{"GET", "/api/v1/admin/rooms", "", "", 200},
		{"GET", "/api/v1/admin/network", "", "", 200},
		{"POST", "/api/v1/admin/network", "", `{"mode":"nonsense"}`, 422},
		{"POST", "/api/v1/admin/network/confirm", "", "", 409},
		{"POST", "/api/v1/admin/network/revert", "", "", 409},
		{"POST", "/api/v1/admin/clock", "", `{"time":1893456000000}`, 204},
		{"POST", "/api/v1/admin/reload", "", "", 204},
		{"GET", "/api/v1/admin/backup", "", "", 200},
		{"PUT", "/api/v1/admin/backup", "", "no backup", 422},
		{"GET", "/api/v1/admin/report", "", "", 200},
		{"GET", "/api/v1/admin/update", "", "", 200},
		{"PUT", "/api/v1/admin/update", "", "no card", 409},
		{"POST", "/api/v1/admin/password", "", `{"old":"long enough","password":"short"}`, 422},
		{"POST", "/api/v1/admin/logout", "", "", 204},
	} {
		resp, body := r.ask(t, step.method, step.path, step.body, "Cookie", cookie)
		if resp.StatusCode != step.status {
			t.Errorf("%s %s: answered %s %s; want %d", step.method, step.path, resp.Status, body, step.status)
			continue
		}
		route := step.route
		if route == "" {
			route = step.path
		}
		for _, wrong := range d.checkAnswer(route, step.method, resp, body) {
			t.Errorf("%s %s: %s", step.method, step.path, wrong)
		}
	}
}

func (d description) checkAnswer(route, method string, resp *http.Response, body []byte) []string {
	answer, ok := d.Paths[route][strings.ToLower(method)].Responses[fmt.Sprint(resp.StatusCode)]
	if !ok {
		return []string{fmt.Sprintf("%d is not described", resp.StatusCode)}
	}
	if len(body) == 0 {
		return nil
	}
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		return []string{err.Error()}
	}
	content, ok := answer.Content[kind]
	if !ok {
		return []string{kind + " is not described"}
	}
	if !strings.HasSuffix(kind, "/json") && !strings.HasSuffix(kind, "+json") { // NDJSON is many values
		return nil
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return []string{err.Error()}
	}
	return d.check(content.Schema, value, "the answer")
}

// TestAdministrationIsClosed asks for everything of the administrator's as a
// visitor.
func TestAdministrationIsClosed(t *testing.T) {
	r, d := start(t, ""), describe(t)
	for path, operations := range d.Paths {
		if !strings.HasPrefix(path, "/api/v1/admin/") || slices.Contains([]string{"claim", "login", "logout"}, path[len("/api/v1/admin/"):]) {
			continue
		}
		for method := range operations {
			resp, body := r.ask(t, strings.ToUpper(method), strings.ReplaceAll(path, "{sid}", "x"), "{}")
			if resp.StatusCode != http.StatusForbidden || !strings.Contains(string(body), "not_admin") {
				t.Errorf("%s %s: answered %s %s", method, path, resp.Status, body)
			}
		}
	}
}
