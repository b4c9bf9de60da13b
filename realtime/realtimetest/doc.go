// Package realtimetest gives tests a Socket.IO server and its clients, joined
// by a network in memory: no ports, nothing to wait for, and a cable that can
// be pulled. All of it works within testing/synctest, where heartbeats and
// reconnecting take no time.
//
//	func TestChat(t *testing.T) {
//		io := chat.NewServer() // what you wrote
//		server := realtimetest.NewServer(t, io)
//		alice, bob := server.Client("/chat"), server.Client("/chat")
//		said := realtimetest.Events[string](t, bob, "said")
//		alice.Emit("say", "hello")
//		if got := said(); got != "hello" { … }
//	}
//
// Everything ends with the test, clients first.
package realtimetest
