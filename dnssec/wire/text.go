package wire

// MarshalText returns the presentation form, for logs and JSON.
func (n Name) MarshalText() ([]byte, error) { return AppendName(nil, string(n)), nil }

// UnmarshalText reads a name in presentation form, as [ParseName] does.
func (n *Name) UnmarshalText(text []byte) error {
	name, err := ParseName(string(text))
	if err == nil {
		*n = name
	}
	return err
}
