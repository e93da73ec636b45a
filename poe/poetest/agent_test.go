package poetest

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/poe"
)

var port1, port2 = poe.PortID{Group: 1, Port: 1}, poe.PortID{Group: 1, Port: 2}

// ask returns an encoded request.
func ask(kind byte, numbers [2]int32, bindings ...binding) []byte {
	var all [][]byte
	for _, b := range bindings {
		all = append(all, b.encode())
	}
	pdu := encode(kind, encode(tagInteger, number(7)), encode(tagInteger, number(int64(numbers[0]))),
		encode(tagInteger, number(int64(numbers[1]))), encode(tagSequence, all...))
	return encode(tagSequence, encode(tagInteger, []byte{1}), encode(tagOctets, []byte("secret")), pdu)
}

// reply reads a response: its error-status, error-index and bindings.
func reply(t *testing.T, message []byte) (status, index int32, bindings []binding) {
	t.Helper()
	content, _, ok := element(message, tagSequence)
	require.True(t, ok)
	_, content, ok = element(content, tagInteger)
	require.True(t, ok)
	_, content, ok = element(content, tagOctets)
	require.True(t, ok)
	pdu, _, ok := element(content, pduResponse)
	require.True(t, ok)
	id, pdu, ok := integer(pdu)
	require.True(t, ok)
	require.EqualValues(t, 7, id)
	status, pdu, ok = integer(pdu)
	require.True(t, ok)
	index, pdu, ok = integer(pdu)
	require.True(t, ok)
	bindings, ok = parseBindings(pdu)
	require.True(t, ok)
	return status, index, bindings
}

func exchange(t *testing.T, sw *Switch, kind byte, numbers [2]int32, bindings ...binding) (status, index int32, answer []binding) {
	r, err := parseRequest(ask(kind, numbers, bindings...))
	require.NoError(t, err)
	return reply(t, sw.answer(t.Context(), r))
}

func null(name oid) binding { return binding{name: name, tag: tagNull} }

func TestAgentReads(t *testing.T) {
	sw := New(Config{Ports: 2})
	admin1 := mustOID(pethPort, 3, 1, 1)
	status, _, answer := exchange(t, sw, pduGet, [2]int32{}, null(admin1), null(mustOID(pethPort, 3, 1, 9)))
	require.Zero(t, status)
	require.Equal(t, binding{admin1, tagInteger, []byte{1}}, answer[0])
	require.EqualValues(t, tagNoSuchInstance, answer[1].tag)

	_, _, answer = exchange(t, sw, pduGetNext, [2]int32{}, null(mustOID(pethPort, 3)), null(mustOID("1.3.7")))
	require.Equal(t, admin1, answer[0].name)
	require.EqualValues(t, tagEndOfMIBView, answer[1].tag)

	_, _, answer = exchange(t, sw, pduGetBulk, [2]int32{1, 2}, null(mustOID("1.3.6.1.2.1.1")), null(mustOID(pethPort, 3)), null(mustOID(pethPort, 6)))
	require.Len(t, answer, 5)
	require.Equal(t, mustOID(sysDescr), answer[0].name)
	require.Equal(t, mustOID(pethPort, 6, 1, 2), answer[4].name)
}

func TestAgentKeepsAnswersShort(t *testing.T) {
	sw := New(Config{})
	r, err := parseRequest(ask(pduGetBulk, [2]int32{0, 500}, null(mustOID(pethPort, 3)), null(mustOID(pethPort, 6))))
	require.NoError(t, err)
	message := sw.answer(t.Context(), r)
	require.LessOrEqual(t, len(message), maxResponse)
	require.Greater(t, len(message), maxResponse/2)
	var many []binding
	for range 100 {
		many = append(many, null(mustOID(sysDescr)))
	}
	status, _, answer := exchange(t, sw, pduGet, [2]int32{}, many...)
	require.EqualValues(t, errTooBig, status)
	require.Empty(t, answer)
}

func TestAgentWritesAllOrNothing(t *testing.T) {
	sw := New(Config{Ports: 2})
	admin := func(port uint32, tag, value byte) binding {
		return binding{mustOID(pethPort, 3, 1, port), tag, []byte{value}}
	}
	for _, c := range []struct {
		second binding
		status int32
	}{
		{admin(2, tagInteger, 3), errWrongValue},
		{admin(2, tagGauge32, 2), errWrongType},
		{admin(9, tagInteger, 2), errNotWritable},
		{binding{mustOID(pethPort, 6, 1, 1), tagInteger, []byte{1}}, errNotWritable},
	} {
		status, index, _ := exchange(t, sw, pduSet, [2]int32{}, admin(1, tagInteger, 2), c.second)
		require.Equal(t, c.status, status)
		require.EqualValues(t, 2, index)
		require.True(t, sw.ports[port1].enabled, "the first was not done either")
	}
	status, _, _ := exchange(t, sw, pduSet, [2]int32{}, admin(1, tagInteger, 2), admin(2, tagInteger, 2))
	require.Zero(t, status)
	require.False(t, sw.ports[port1].enabled || sw.ports[port2].enabled)
}

func TestServeAnswersOnlyItsCommunity(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	sw := New(Config{Ports: 1})
	ended := make(chan error, 1)
	go func() { ended <- sw.Serve(t.Context(), conn, "another") }()
	client, err := net.Dial("udp", conn.LocalAddr().String())
	require.NoError(t, err)
	defer client.Close()
	_, err = client.Write(ask(pduGet, [2]int32{}, null(mustOID(sysDescr))))
	require.NoError(t, err)
	_, err = client.Write([]byte("noise"))
	require.NoError(t, err)
	require.NoError(t, client.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err = client.Read(make([]byte, 100))
	require.Error(t, err)
	require.Zero(t, sw.Requests())
}

func FuzzParseRequest(f *testing.F) {
	f.Add(ask(pduGet, [2]int32{}, null(mustOID(sysDescr))))
	f.Add(ask(pduGetBulk, [2]int32{0, 25}, null(mustOID(pethPort, 3)), null(mustOID(pethPort, 6))))
	f.Add(ask(pduSet, [2]int32{}, binding{mustOID(pethPort, 3, 1, 1), tagInteger, []byte{2}}))
	sw := New(Config{Ports: 2, Vendor: Netgear})
	f.Fuzz(func(t *testing.T, datagram []byte) {
		r, err := parseRequest(datagram)
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(r.bindings), maxBindings)
		message := sw.answer(t.Context(), r)
		content, rest, ok := element(message, tagSequence)
		require.True(t, ok && len(rest) == 0 && len(content) > 0)
	})
}

func TestOIDs(t *testing.T) {
	for _, text := range []string{"1.3.6.1.2.1.105.1.1.1.3.1.48", "1.3.6.1.4.1.47196.4.1.1.3.8.1.1.1.7", "1.3.6.1.4.1.4294967295", "0.0", "1.39.128.16384"} {
		o := mustOID(text)
		again, ok := parseOID(encodeOID(o))
		require.True(t, ok)
		require.Equal(t, o, again)
	}
	for _, bad := range [][]byte{nil, {0x2b, 0x80}, {0x2b, 0x90, 0x80, 0x80, 0x80, 0x80, 0x01}} {
		_, ok := parseOID(bad)
		require.False(t, ok)
	}
}

func TestSwitchConforms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := New(Config{Ports: 4, Detect: 100 * time.Millisecond, Linger: 100 * time.Millisecond})
		time.Sleep(time.Minute)
		require.NoError(t, Conform(t.Context(), Subject{PSE: sw, Port: port1, Other: port2}))
	})
}

func TestConformFindsFaults(t *testing.T) {
	sw := New(Config{Ports: 4, Linger: time.Hour})
	err := Conform(t.Context(), Subject{PSE: sw, Port: port1, Other: port2, Settle: 20 * time.Millisecond})
	require.ErrorContains(t, err, "poetest: off and on: after disabled: it stays")
	sw = New(Config{Ports: 4})
	sw.Make(Trouble{LoseSets: 1})
	require.ErrorIs(t, Conform(t.Context(), Subject{PSE: sw, Port: port1, Other: port2}), poe.ErrUnconfirmed)
	require.ErrorContains(t, Conform(t.Context(), Subject{PSE: sw, Port: port1, Other: poe.PortID{Group: 3, Port: 3}}), "are not among")
}

// useless supports nothing.
type useless struct{}

func (useless) Ports(context.Context) ([]poe.PortID, error) { return nil, errors.ErrUnsupported }
func (useless) Status(context.Context, ...poe.PortID) ([]poe.Status, error) {
	return nil, errors.ErrUnsupported
}
func (useless) Set(context.Context, poe.PortID, poe.Admin) error { return errors.ErrUnsupported }

func TestConformWantsWhatEveryPSEHas(t *testing.T) {
	err := Conform(t.Context(), Subject{PSE: useless{}, Port: poe.PortID{Group: 1, Port: 1}, Other: poe.PortID{Group: 1, Port: 2}})
	for _, want := range []string{"ports:", "status:", "off and on:", "concurrent use:"} {
		require.ErrorContains(t, err, want)
	}
	require.NotContains(t, err.Error(), "%!")
}

func TestAPortThatIsNotThereIsLeftOut(t *testing.T) {
	sw := New(Config{Ports: 1})
	sw.Attach(poe.PortID{Group: 9, Port: 9}, nil)
	sw.Fail(poe.PortID{Group: 9, Port: 9}, poe.DetectionFault)
}
