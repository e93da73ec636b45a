package acme

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A Dialect is how an ACME client calls its hook.
type Dialect string

// The dialects.
const (
	// Dehydrated is that of dehydrated 0.7 (and letsencrypt.sh before it): an
	// operation and its arguments, several challenges in one call with HOOK_CHAIN.
	Dehydrated Dialect = "dehydrated"
	// Certbot is that of certbot's --manual-auth-hook and --manual-cleanup-hook:
	// one challenge in the environment.
	Certbot Dialect = "certbot"
	// Lego is that of lego's exec provider, with or without EXEC_MODE=RAW.
	Lego Dialect = "lego"
)

// clients are the programs that speak a dialect.
var clients = map[Dialect][]string{
	Dehydrated: {"dehydrated", "dehydrated.sh", "letsencrypt.sh"},
	Certbot:    {"certbot", "certbot-auto"},
	Lego:       {"lego"},
}

// A request is what a client asks of its hook.
type request struct {
	op         operation
	challenges []Challenge
	more       bool     // certbot will bring further challenges of this batch
	names      []string // certbot: all names of the certificate
	subject    string   // dehydrated: of which certificate
	detail     string   // of a failure that dehydrated reports
}

type operation int

const (
	nothing operation = iota
	publish
	publishOne // of a batch that comes one by one
	withdraw
	start
	deployed
	unchanged
	failed
)

// recognise tells the dialect from the program's own name, its arguments and
// the environment, in this order.
func recognise(args []string, lookup func(string) (string, bool)) Dialect {
	for _, d := range []Dialect{Dehydrated, Certbot, Lego} {
		if len(args) > 0 && strings.Contains(filepath.Base(args[0]), string(d)) {
			return d
		}
	}
	if _, ok := lookup("CERTBOT_VALIDATION"); ok {
		return Certbot
	}
	if len(args) > 2 && (args[1] == "present" || args[1] == "cleanup") {
		return Lego
	}
	return Dehydrated
}

// parse reads a call: args[0] is the name of the hook itself.
func (d Dialect) parse(args []string, lookup func(string) (string, bool)) (request, error) {
	if len(args) > 0 {
		args = args[1:]
	}
	switch d {
	case Dehydrated:
		return parseDehydrated(args, lookup)
	case Certbot:
		return parseCertbot(lookup)
	case Lego:
		return parseLego(args)
	}
	return request{}, fmt.Errorf("acme: dialect %q: want dehydrated, certbot or lego", string(d))
}

func parseDehydrated(args []string, lookup func(string) (string, bool)) (request, error) {
	if len(args) == 0 {
		return request{}, errors.New("acme: no operation: this program is called by dehydrated (HOOK=), certbot or lego")
	}
	arg := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	switch args[0] {
	case "deploy_challenge":
		return dehydratedChallenges(publish, args, lookup)
	case "clean_challenge":
		return dehydratedChallenges(withdraw, args, lookup)
	case "startup_hook":
		return request{op: start}, nil
	case "deploy_cert":
		return request{op: deployed, subject: arg(1)}, nil
	case "unchanged_cert":
		return request{op: unchanged, subject: arg(1)}, nil
	case "invalid_challenge":
		return request{op: failed, subject: arg(1), detail: arg(2)}, nil
	case "request_failure":
		return request{op: failed, subject: arg(3), detail: strings.TrimSpace(arg(1) + " " + arg(2))}, nil
	}
	// sync_cert, deploy_ocsp, generate_csr (whose output would be taken for a
	// CSR), exit_hook, and operations of versions to come.
	return request{}, nil
}

// dehydratedChallenges reads triples of domain, token and value.
func dehydratedChallenges(op operation, args []string, lookup func(string) (string, bool)) (request, error) {
	triples := args[1:]
	if len(triples) == 0 || len(triples)%3 != 0 {
		return request{}, fmt.Errorf("acme: %s with %d arguments; want domain, token file and value, once or (HOOK_CHAIN) several times", args[0], len(triples))
	}
	kind, known := lookup("CHALLENGETYPE")
	if known && kind != "dns-01" {
		return request{}, nil
	}
	r := request{op: op}
	for triple := range slices.Chunk(triples, 3) {
		if !known && !isDigest(triple[2]) {
			continue // dehydrated --signcsr tells no type; this is http-01's key authorization
		}
		r.challenges = append(r.challenges, Challenge{Domain: triple[0], Value: triple[2]})
	}
	return r, nil
}

func parseCertbot(lookup func(string) (string, bool)) (request, error) {
	get := func(name string) string {
		value, _ := lookup(name)
		return value
	}
	domain := get("CERTBOT_DOMAIN")
	if domain == "" {
		domain = get("CERTBOT_IDENTIFIER") // since 5.3
	}
	if domain == "" || get("CERTBOT_VALIDATION") == "" {
		return request{}, errors.New("acme: CERTBOT_DOMAIN or CERTBOT_VALIDATION is not set: call this as --manual-auth-hook and --manual-cleanup-hook of certbot --manual")
	}
	if get("CERTBOT_TOKEN") != "" {
		return request{}, errors.New("acme: certbot asks for http-01: give it --preferred-challenges dns")
	}
	r := request{op: publishOne, challenges: []Challenge{{Domain: domain, Value: get("CERTBOT_VALIDATION")}}}
	// certbot renew leaves the variable of one certificate's last cleanup to the
	// next one's authentication: it has to be of this challenge.
	if strings.Contains(get("CERTBOT_AUTH_OUTPUT"), get("CERTBOT_VALIDATION")) {
		r.op = withdraw
		return r, nil
	}
	remaining, err := strconv.Atoi(get("CERTBOT_REMAINING_CHALLENGES"))
	r.more = err == nil && remaining > 0
	all := get("CERTBOT_ALL_DOMAINS")
	if all == "" {
		all = get("CERTBOT_ALL_IDENTIFIERS")
	}
	r.names = strings.FieldsFunc(all, func(c rune) bool { return c == ',' })
	return r, nil
}

// parseLego reads "present FQDN VALUE" or, in raw mode, "present -- DOMAIN TOKEN
// KEYAUTH".
func parseLego(args []string) (request, error) {
	ops := map[string]operation{"present": publish, "cleanup": withdraw}
	if len(args) == 0 || ops[args[0]] == nothing {
		return request{}, errors.New("acme: want present or cleanup, as lego's exec provider calls it")
	}
	r := request{op: ops[args[0]]}
	switch {
	case len(args) == 3:
		// lego has followed CNAME records itself.
		r.challenges = []Challenge{{Name: args[1], Value: args[2]}}
	case len(args) == 5 && args[1] == "--":
		r.challenges = []Challenge{{Domain: args[2], KeyAuthorization: args[4]}}
	default:
		return r, fmt.Errorf("acme: %s with %d arguments; want a name and a value, or -- and domain, token, key authorization", args[0], len(args)-1)
	}
	return r, nil
}
