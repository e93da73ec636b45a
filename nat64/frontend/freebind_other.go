//go:build !linux

package frontend

import (
	"errors"
	"syscall"
)

func freebind(string, string, syscall.RawConn) error {
	return errors.New("frontend: source addresses that embed the client's need Linux")
}
