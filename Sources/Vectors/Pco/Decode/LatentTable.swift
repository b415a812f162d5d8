/// The decoding table of one stream of latents: a tabled asymmetric numeral system (tANS) whose
/// symbols are bins.
///
/// Immutable, so any number of threads can decode with it.
final class LatentTable: @unchecked Sendable {
  /// What a state stands for.
  struct Node: BitwiseCopyable {
    /// The next state, before the bits that are read are added.
    var base: UInt16
    /// As many ones as bits are read.
    var mask: UInt16
    /// How many bits are read for the next state.
    var bitCount: UInt8
    /// How many bits of offset the state's bin has.
    var offsetBitCount: UInt8
    /// Makes a node 8 bytes, whose addresses the processor can compute in a load.
    var padding: UInt16 = 0
  }

  let sizeLog: Int
  let binCount: Int
  let maxOffsetBitCount: Int
  /// A node a state.
  let nodes: UnsafeMutablePointer<Node>
  /// The lower bound of each state's bin, in the latents' own width.
  let lowers: UnsafeMutableRawPointer
  /// At each index as many ones; quicker to load than to compute.
  let masks: UnsafeMutablePointer<UInt64>
  /// The lower bound of the first bin.
  let firstLower: UInt64

  /// Makes the table of some bins, which have been checked by `LatentMeta.init(from:latentWidth:)`.
  init<Value: Latent>(_ meta: LatentMeta, of type: Value.Type) {
    let stateCount = 1 << meta.sizeLog
    sizeLog = meta.sizeLog
    binCount = meta.bins.count
    maxOffsetBitCount = meta.bins.reduce(0) { max($0, $1.offsetBitCount) }
    firstLower = meta.bins.first?.lower ?? 0
    nodes = .allocate(capacity: stateCount)
    masks = .allocate(capacity: UInt64.bitWidth + 1)
    for index in 0...UInt64.bitWidth {
      (masks + index).initialize(to: index == 64 ? .max : 1 << UInt64(index) - 1)
    }
    let lowers = UnsafeMutablePointer<Value>.allocate(capacity: stateCount)
    self.lowers = UnsafeMutableRawPointer(lowers)
    nodes.initialize(
      repeating: Node(base: 0, mask: 0, bitCount: 0, offsetBitCount: 0), count: stateCount)
    lowers.initialize(repeating: 0, count: stateCount)
    if binCount > 0 { fill(meta, lowers: lowers) }
  }

  deinit {
    nodes.deallocate()
    masks.deallocate()
    lowers.deallocate()
  }

  /// Whether every latent is the same, and nothing is stored of it.
  var isConstant: Bool { binCount == 1 && maxOffsetBitCount == 0 }

  private func fill<Value: Latent>(_ meta: LatentMeta, lowers: UnsafeMutablePointer<Value>) {
    let stateCount = 1 << meta.sizeLog
    let sizeLog = meta.sizeLog
    let owners = StateOrder(sizeLog: sizeLog, weights: meta.bins.map(\.weight)).owners
    var counters = meta.bins.map(\.weight)
    // Pages may be short, and then this is a good part of decoding them.
    meta.bins.withUnsafeBufferPointer { bins in
      counters.withUnsafeMutableBufferPointer { counters in
        for state in 0..<stateCount {
          let owner = Int(owners[state])
          let counter = counters[owner]
          counters[owner] = counter &+ 1
          // counter lies in weight ..< 2 * weight, so the next state lies in 0 ..< stateCount.
          let bitCount = sizeLog &- (Int.bitWidth &- 1 &- counter.leadingZeroBitCount)
          nodes[state] = Node(
            base: UInt16(truncatingIfNeeded: counter &<< bitCount &- stateCount),
            mask: UInt16(truncatingIfNeeded: 1 &<< bitCount &- 1),
            bitCount: UInt8(truncatingIfNeeded: bitCount),
            offsetBitCount: UInt8(truncatingIfNeeded: bins[owner].offsetBitCount))
          lowers[state] = Value(truncatingIfNeeded: bins[owner].lower)
        }
      }
    }
  }
}

/// Which states of the entropy coder belong to which bin; the encoder and the decoder share it.
struct StateOrder {
  /// The index of each state's bin.
  let owners: [UInt16]

  /// The order for bins whose weights sum to `2 ** sizeLog`.
  init(sizeLog: Int, weights: [Int]) {
    let count = 1 << sizeLog
    // An odd step visits every state once.
    let stride = (3 * count / 5) | 1
    owners = [UInt16](unsafeUninitializedCapacity: count) { owners, initializedCount in
      owners.initialize(repeating: 0)
      var state = 0
      for (bin, weight) in weights.enumerated() {
        for _ in 0..<weight {
          owners[state] = UInt16(truncatingIfNeeded: bin)
          state = (state &+ stride) & (count &- 1)
        }
      }
      initializedCount = count
    }
  }
}
