// Package mqtt lets MQTT 3.1.1 clients (OASIS standard; 3.1 too) onto the data
// bus, over TCP: what they publish, browsers, scripts and Socket.IO clients
// receive, and the other way round. Values mean the same as everywhere: a
// payload that is JSON is that value, other text a string, the rest bytes.
//
// Deliberately left out, and told to clients as the standard has it:
//   - Sessions end with their connection; CONNACK says that there was none.
//     What a client missed is on the bus's other ways in, by since.
//   - Messages go out with QoS 0, which SUBACK grants. They come in with any:
//     an acknowledgement says that the bus has the message and has passed it
//     on, not that it is on the disk.
//   - MQTT 5 clients are told the version that is spoken here.
package mqtt
