// Package nbns answers for the host's name by the NetBIOS name service over
// UDP (RFC 1001, RFC 1002): what Windows asked for a bare name before it had
// LLMNR and multicast DNS. It answers questions only: it registers nothing and
// defends nothing, and leaves the port to Samba where that runs.
package nbns
