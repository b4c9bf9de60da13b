// Package chat is rooms of people: who is there, what was said, and who may
// say it.
//
// A message is acknowledged, and reaches the others, when it is durable. A
// client that comes back says up to where it has read, and gets the rest once.
// Rooms come into being when somebody joins them.
//
// Locks: Chat.mu stands above room.mu; neither is held while the log is asked.
package chat
