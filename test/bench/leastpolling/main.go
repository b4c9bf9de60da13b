// Command leastpolling is the least that a net/http server can do to answer
// the polling echo of the load generator: no limits, no heartbeats, no order,
// nothing checked. What the real server takes beyond it is what it does beyond
// it. It listens on 127.0.0.1:$PORT.
package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sync"
)

// sessions are what is on the way to each client, by the number that is its id.
type sessions struct {
	mu    sync.RWMutex // guards all
	boxes map[string]chan []byte
}

func main() {
	s := &sessions{boxes: make(map[string]chan []byte)}
	http.Handle("/socket.io/", s)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+cmp.Or(os.Getenv("PORT"), "9000"), nil))
}

// ServeHTTP opens a session, takes a packet, or waits for one.
func (s *sessions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sid := r.URL.Query().Get("sid")
	if sid == "" {
		fmt.Fprintf(w, `0{"sid":"%d","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`, s.open())
		return
	}
	s.mu.RLock()
	box := s.boxes[sid]
	s.mu.RUnlock()
	if r.Method == http.MethodGet {
		select {
		case packet := <-box:
			w.Write(packet)
		case <-r.Context().Done():
		}
		return
	}
	packet, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	box <- answer(packet)
	io.WriteString(w, "ok")
}

func (s *sessions) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := len(s.boxes)
	s.boxes[fmt.Sprint(id)] = make(chan []byte, 16)
	return id
}

// answer makes 43<id>[data] of 42<id>["echo",data].
func answer(packet []byte) []byte {
	id, data, echo := bytes.Cut(packet, []byte(`["echo",`))
	if !echo {
		return []byte(`40{"sid":"0"}`)
	}
	return append(append(append([]byte("43"), id[2:]...), '['), data...)
}
