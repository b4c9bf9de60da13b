# On the card: two radios that the kernel plays, the second of them an access
# point with a DHCP server, in a network of its own.
set -e
modprobe mac80211_hwsim radios=2
for _ in $(seq 50); do [ -e /sys/class/net/wlan1 ] && break; sleep 0.1; done
ip netns add ap
iw phy "$(cat /sys/class/net/wlan1/phy80211/name)" set netns name ap
cat > /tmp/ap.conf <<'CONF'
country=DE
network={
	mode=2
	ssid="shop floor"
	frequency=2412
	key_mgmt=WPA-PSK
	proto=RSN
	pairwise=CCMP
	psk="battery staple"
}
CONF
cat > /tmp/udhcpd.conf <<'CONF'
start 10.85.0.50
end 10.85.0.60
interface wlan1
lease_file /tmp/udhcpd.leases
option subnet 255.255.255.0
option router 10.85.0.1
CONF
chmod 755 /tmp/busybox
touch /tmp/udhcpd.leases
ip netns exec ap ip link set lo up
ip netns exec ap wpa_supplicant -B -i wlan1 -c /tmp/ap.conf
ip netns exec ap ip addr add 10.85.0.1/24 dev wlan1
ip netns exec ap /tmp/busybox udhcpd /tmp/udhcpd.conf
