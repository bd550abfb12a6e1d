// Drives etcd as the load harness drives the others: so many connections, so many requests in
// flight on each, a closed loop, latencies of what was sent within the window. It prints one line
// of JSON, and says on standard error when the window begins. Keys and values are as many and as
// long as the harness's.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/client/v3"
)

const (
	keys         = 10_000
	valueBytes   = 100
	createsOfTxn = 10
	fillTogether = 100
	requestMax   = 20 * time.Second
)

type plan struct {
	weights      []weight
	sum          int
	from, to     time.Time
	value        string
	linearizable bool
}

type weight struct {
	operation string
	upTo      int
}

// What one goroutine saw.
type tally struct {
	latencies []int64
	errors    int
}

func main() {
	endpoints := flag.String("servers", "", "addresses with commas between")
	workload := flag.String("workload", "get", "an operation, or several with weights")
	connections := flag.Int("c", 1, "connections")
	inFlight := flag.Int("d", 1, "requests in flight on each")
	seconds := flag.Float64("t", 1, "seconds of measurement")
	warmUp := flag.Float64("warm-up", 0.5, "seconds of load before it")
	linearizable := flag.Bool("linearizable", false, "reads ask the leader")
	flag.Parse()
	weights, sum, err := parse(*workload)
	if err != nil {
		fail(err)
	}
	clients, err := connect(strings.Split(*endpoints, ","), *connections)
	if err != nil {
		fail(err)
	}
	value := strings.Repeat("v", valueBytes)
	if err := fill(clients[0], value); err != nil {
		fail(err)
	}
	from := time.Now().Add(time.Duration(*warmUp * float64(time.Second)))
	to := from.Add(time.Duration(*seconds * float64(time.Second)))
	report(run(plan{weights, sum, from, to, value, *linearizable}, clients, *inFlight), *seconds)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(2)
}

func parse(text string) ([]weight, int, error) {
	var weights []weight
	sum := 0
	for _, part := range strings.Split(text, ",") {
		name, number, found := strings.Cut(part, "=")
		share := 1
		if found {
			var err error
			if share, err = strconv.Atoi(number); err != nil {
				return nil, 0, err
			}
		}
		if !slices.Contains([]string{"get", "set", "create", "multi"}, name) {
			return nil, 0, fmt.Errorf("%s is no operation", name)
		}
		sum += share
		weights = append(weights, weight{name, sum})
	}
	return weights, sum, nil
}

// One client has one connection, and it stays with the server it is given.
func connect(endpoints []string, count int) ([]*clientv3.Client, error) {
	clients := make([]*clientv3.Client, count)
	for number := range clients {
		endpoint := endpoints[number%len(endpoints)]
		config := clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: requestMax}
		client, err := clientv3.New(config)
		if err != nil {
			return nil, err
		}
		clients[number] = client
	}
	return clients, nil
}

func key(number int) string { return fmt.Sprintf("/bench/key/%08d", number) }

func fill(client *clientv3.Client, value string) error {
	for first := 0; first < keys; first += fillTogether {
		var operations []clientv3.Op
		for number := first; number < first+fillTogether; number++ {
			operations = append(operations, clientv3.OpPut(key(number), value))
		}
		bound, cancel := context.WithTimeout(context.Background(), requestMax)
		_, err := client.Txn(bound).Then(operations...).Commit()
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

func run(plan plan, clients []*clientv3.Client, inFlight int) []tally {
	tallies := make([]tally, len(clients)*inFlight)
	time.AfterFunc(time.Until(plan.from), func() { fmt.Fprintln(os.Stderr, "measuring") })
	var all sync.WaitGroup
	for index := range tallies {
		all.Add(1)
		go func() {
			defer all.Done()
			tallies[index] = drive(plan, clients[index%len(clients)], index)
		}()
	}
	all.Wait()
	return tallies
}

func drive(plan plan, client *clientv3.Client, index int) tally {
	var seen tally
	random := rand.New(rand.NewSource(int64(index)))
	made := 0
	for {
		begun := time.Now()
		if !begun.Before(plan.to) {
			return seen
		}
		err := request(plan, client, random, fmt.Sprintf("/bench/made/%d-%d/", plan.from.UnixNano(),
			index), &made)
		if begun.Before(plan.from) {
			continue
		}
		if err != nil {
			seen.errors++
			continue
		}
		seen.latencies = append(seen.latencies, int64(time.Since(begun)))
	}
}

func request(plan plan, client *clientv3.Client, random *rand.Rand, parent string,
	made *int) error {
	bound, cancel := context.WithTimeout(context.Background(), requestMax)
	defer cancel()
	ticket := random.Intn(plan.sum)
	at := slices.IndexFunc(plan.weights, func(one weight) bool { return ticket < one.upTo })
	var err error
	switch plan.weights[at].operation {
	case "get":
		options := []clientv3.OpOption{clientv3.WithSerializable()}
		if plan.linearizable {
			options = nil
		}
		_, err = client.Get(bound, key(random.Intn(keys)), options...)
	case "set":
		_, err = client.Put(bound, key(random.Intn(keys)), plan.value)
	case "create":
		*made++
		_, err = client.Put(bound, parent+strconv.Itoa(*made), plan.value)
	case "multi":
		var operations []clientv3.Op
		for range createsOfTxn {
			*made++
			operations = append(operations, clientv3.OpPut(parent+strconv.Itoa(*made), plan.value))
		}
		_, err = client.Txn(bound).Then(operations...).Commit()
	}
	return err
}

func report(tallies []tally, seconds float64) {
	var latencies []int64
	errors := 0
	for _, one := range tallies {
		latencies = append(latencies, one.latencies...)
		errors += one.errors
	}
	slices.Sort(latencies)
	at := func(share float64) float64 {
		if len(latencies) == 0 {
			return 0
		}
		return float64(latencies[int(share*float64(len(latencies)-1))]) / 1e3
	}
	line, err := json.Marshal(map[string]any{
		"count": len(latencies), "errors": errors, "rate": float64(len(latencies)) / seconds,
		"p50": at(0.5), "p99": at(0.99), "max": at(1),
	})
	if err != nil {
		fail(err)
	}
	fmt.Println(string(line))
}
