package manager

import (
	"context"
	"time"
)

// lodgeAgain is how long it takes until a request that has had no effect in the parent
// is made again; one that failed is after Manager.Poll.
const lodgeAgain = 6 * time.Hour

// lodge asks the registrar for the DS set that is wanted, unless it was lately. The
// mutex is not held while it works.
func (u *unit) lodge(ctx context.Context) {
	u.mutex.Lock()
	registrar, keys, now := u.zone.Registrar, lodgedDS(&u.record.State), u.manager.now()
	wanted := ""
	for _, key := range keys {
		wanted += string(key.RDATA())
	}
	again, lately := u.lodged[wanted]
	u.mutex.Unlock()
	if registrar == nil || lately && now.Before(again) && !now.Before(again.Add(-lodgeAgain)) {
		return
	}
	err := registrar.Lodge(ctx, u.origin, keys)
	u.mutex.Lock()
	defer u.mutex.Unlock()
	clear(u.lodged) // of other sets
	if err != nil {
		u.manager.counters.LodgeErrors.Add(1)
		u.problem(err)
		return
	}
	u.manager.counters.Lodged.Add(1)
	u.lodged[wanted] = now.Add(lodgeAgain)
	u.manager.logger().Info("DS records lodged", "zone", u.origin, "keys", len(keys))
}
