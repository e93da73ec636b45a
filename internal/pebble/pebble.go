// Package pebble has pebble, an ACME authority for tests and simulations, run in
// the same process without what is wrong in it.
package pebble

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/letsencrypt/pebble/v2/db"
)

// issueTimeout bounds how long pebble is waited for.
const issueTimeout = 5 * time.Second

// IssuesFirst holds the answer to a finalization back until pebble has done all
// about it. Pebble takes an order's read lock twice when it shows the order: when
// the certificate is stored between the two, it waits for itself for ever. And it
// reads without a lock whether an order was replaced.
func IssuesFirst(front http.Handler, store *db.MemoryStore) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		front.ServeHTTP(w, r)
		id, finalizes := strings.CutPrefix(r.URL.Path, "/finalize-order/")
		for end := time.Now().Add(issueTimeout); finalizes && issuing(store, id) && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
	})
}

func issuing(store *db.MemoryStore, id string) bool {
	order := store.GetOrderByID(id)
	if order == nil {
		return false
	}
	order.RLock()
	began, certificate, replaces := order.BeganProcessing, order.CertificateObject, order.Replaces
	order.RUnlock()
	if !began || certificate == nil {
		return began
	}
	if _, err := store.GetOrderByIssuedSerial(certificate.ID); err != nil {
		return true
	}
	_, text, _ := strings.Cut(replaces, ".")
	serial, err := base64.RawURLEncoding.DecodeString(text)
	original, unknown := store.GetOrderByIssuedSerial(hex.EncodeToString(serial))
	if err != nil || unknown != nil {
		return false
	}
	original.RLock()
	defer original.RUnlock()
	return !original.IsReplaced
}
