// Package balanced connects to all replicas of byokd behind one name and spreads calls over them.
//
// The connection is in clear text, as inside a mesh; for TLS give credentials.NewTLS instead.
package balanced

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	// Makes healthCheckConfig of the service config work: a replica that says it is stopping gets no new calls.
	_ "google.golang.org/grpc/health"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/resolver/dns"
)

// Dial takes a target like dns:///byokd-headless.byokd:50051, and the text of service_config.json.
func Dial(target, serviceConfig string, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	// Half a minute otherwise, in which a roll-out may have replaced every pod that the client knows.
	dns.SetMinResolutionInterval(time.Second)
	return grpc.NewClient(target, append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(serviceConfig),
		// The file alone counts, and no TXT record is asked for.
		grpc.WithDisableServiceConfig(),
		// A node that vanishes closes no connection: ask every half minute, and give it five seconds to answer.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 5 * time.Second}),
	}, options...)...)
}
