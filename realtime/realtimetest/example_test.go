package realtimetest_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/client"
	"server22.local/appliance/realtime/realtimetest"
)

// A test of a server: two clients, and what the one hears of the other.
func ExampleNewServer() {
	test := func(t *testing.T) {
		io := realtime.New(realtime.Options{})
		realtime.On(io, "say", func(_ context.Context, s *realtime.Socket, text string) error {
			return s.Broadcast().Emit("said", text)
		})

		server := realtimetest.NewServer(t, io)
		alice, bob := server.Client("/"), server.Client("/")
		said := realtimetest.Events[string](t, bob, "said")
		alice.Emit("say", "hello")
		fmt.Println(said())
	}
	run(test)
	// Output: hello
}

// A test of what happens while the network is down for an hour, in no time.
func ExampleServer_Unplug() {
	test := func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			io := realtime.New(realtime.Options{})
			realtime.Handle(io, "double", func(_ context.Context, _ *realtime.Socket, n int) (int, error) {
				return 2 * n, nil
			})

			server := realtimetest.NewServer(t, io)
			o := server.Options()
			o.ReconnectDelayMax = time.Minute
			c := server.New(o)
			s := c.Of("/")
			s.OnConnect(func(context.Context, *client.Socket) { fmt.Println("here") })
			s.OnDisconnect(func(_ *client.Socket, why client.Reason) { fmt.Println("away:", why) })
			server.Connect(c)
			synctest.Wait()

			began := time.Now()
			server.Unplug()
			synctest.Wait()
			time.AfterFunc(time.Hour, server.Plug)
			n, err := client.Ask[int](t.Context(), s, "double", 21) // waits for the connection
			synctest.Wait()                                         // OnConnect may still run
			fmt.Println(n, err, "after", time.Since(began).Round(5*time.Minute))
		})
	}
	run(test)
	// Output:
	// here
	// away: transport error
	// here
	// 42 <nil> after 1h0m0s
	// away: io client disconnect
}

// run stands for "go test"; it runs the test once, whatever -count says.
func run(test func(*testing.T)) {
	var once sync.Once
	testing.RunTests(func(string, string) (bool, error) { return true, nil },
		[]testing.InternalTest{{Name: "TestExample", F: func(t *testing.T) { once.Do(func() { test(t) }) }}})
}
