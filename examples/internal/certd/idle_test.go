package certd

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkThousandIdle measures the memory of certd run with a thousand
// certificates that are not due.
func BenchmarkThousandIdle(b *testing.B) {
	const certificates = 1000
	dir := b.TempDir()
	config := "account: {ca: \"https://127.0.0.1:1/dir\", agree_tos: true}\nprovider: {embedded: {listen: \"127.0.0.1:0\"}}\ncertificates:\n"
	for i := range certificates {
		name := fmt.Sprintf("host%d.example.org", i)
		config += fmt.Sprintf("  - {names: [%s, '*.%s']}\n", name, name)
		place(b, filepath.Join(dir, "out", name), int64(i+1), name, "*."+name)
	}
	file := write(b, "certd.yaml", config)
	program := filepath.Join(dir, "certd")
	output, err := exec.Command("go", "build", "-o", program, "github.com/berryrack/berryrack/examples/certd").CombinedOutput()
	require.NoError(b, err, string(output))
	for b.Loop() {
		state := filepath.Join(dir, "state")
		require.NoError(b, os.RemoveAll(state))
		cmd := exec.Command(program, "run", "-f", file, "--state", state, "--out", filepath.Join(dir, "out"))
		var log bytes.Buffer
		cmd.Stderr = &log
		require.NoError(b, cmd.Start())
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
			seen, _ := os.ReadDir(filepath.Join(state, "state"))
			if len(seen) == certificates {
				break
			}
			require.True(b, time.Now().Before(deadline), "%s", log.Bytes()[:min(log.Len(), 2000)])
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
		require.NoError(b, err)
		b.ReportMetric(kilobytes(b, string(status), "VmRSS:")/1024, "RSS-MB")
		b.ReportMetric(kilobytes(b, string(status), "VmHWM:")/1024, "peak-MB")
		require.NoError(b, cmd.Process.Signal(os.Interrupt))
		require.NoError(b, cmd.Wait())
	}
}

func kilobytes(b *testing.B, status, key string) (n float64) {
	_, rest, ok := strings.Cut(status, key)
	require.True(b, ok)
	_, err := fmt.Sscan(rest, &n)
	require.NoError(b, err)
	return n
}

// place puts a self-signed certificate where the manager would.
func place(b *testing.B, dir string, serial int64, names ...string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(b, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: names, NotBefore: time.Now(), NotAfter: time.Now().Add(90 * 24 * time.Hour), AuthorityKeyId: []byte{1}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(b, err)
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(b, err)
	version := filepath.Join(dir, "versions", "1")
	require.NoError(b, os.MkdirAll(version, 0o755))
	require.NoError(b, os.WriteFile(filepath.Join(version, "fullchain.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644))
	require.NoError(b, os.WriteFile(filepath.Join(version, "privkey.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), 0o600))
	require.NoError(b, os.Symlink("versions/1", filepath.Join(dir, "current")))
}
