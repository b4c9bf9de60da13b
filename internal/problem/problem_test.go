package problem

import (
	"encoding/json"
	"net/http/httptest"
	"testing"
)

func TestWrite(t *testing.T) {
	rec := httptest.NewRecorder()
	rec.Header().Set("Content-Length", "3")
	Write(rec, New(421, "foreign_host", "no such host here", "use http://server22.local/"))

	if rec.Code != 421 || rec.Header().Get("Content-Type") != ContentType || rec.Header().Get("Content-Length") != "" {
		t.Fatalf("answered %d %v", rec.Code, rec.Header())
	}
	var got Problem
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := Problem{"Misdirected Request", 421, "foreign_host", "no such host here", "use http://server22.local/"}
	if got != want {
		t.Errorf("wrote %+v; want %+v", got, want)
	}
}

func TestWriteFillsIn(t *testing.T) {
	rec := httptest.NewRecorder()
	Write(rec, Problem{})
	if rec.Code != 500 {
		t.Errorf("answered %d; want 500", rec.Code)
	}
}
