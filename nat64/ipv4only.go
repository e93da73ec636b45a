package nat64

// The addresses of ipv4only.arpa (RFC 7050, section 2.2).
var (
	ipv4Only170 = [4]byte{192, 0, 0, 170}
	ipv4Only171 = [4]byte{192, 0, 0, 171}
)
