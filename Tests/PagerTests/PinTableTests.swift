import Testing

@testable import Pager

/// The pin table against a model that keeps nothing but what the rule says.
@Suite struct PinTableTests {
  /// A page is free when no pin p with birth ≤ p < death is left.
  private struct Model {
    var pins: [UInt64: Int] = [:]
    var waiting: [(id: UInt64, birth: UInt64, death: UInt64)] = []

    func isSeen(_ birth: UInt64, _ death: UInt64) -> Bool {
      pins.keys.contains { birth <= $0 && $0 < death }
    }

    mutating func takeFree() -> Set<UInt64> {
      let free = waiting.filter { !isSeen($0.birth, $0.death) }.map(\.id)
      waiting.removeAll { entry in free.contains(entry.id) }
      return Set(free)
    }
  }

  private func entry(_ id: UInt64, _ birth: UInt64, _ death: UInt64) -> Unlinked {
    Unlinked(
      extent: Extent(first: PageID(id), pageCount: 1), birth: Epoch(birth), death: Epoch(death),
      isValue: false)
  }

  /// rule C2: every combination of three pins, a birth and a death, released in each order.
  @Test func everySmallCaseIsRight() {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
    let pins: [UInt64] = [2, 4, 6]
    for birth in 1...8 as ClosedRange<UInt64> {
      for death in birth...9 {
        for order in orders {
          var table = PinTable()
          for pin in pins { table.add(Epoch(pin)) }
          var isFree = table.unlink(entry(100, birth, death))
          var left = Set(pins)
          let place = "birth \(birth) death \(death) order \(order)"
          #expect(isFree == !left.contains { birth <= $0 && $0 < death }, "\(place)")
          for index in order {
            table.release(Epoch(pins[index]))
            left.remove(pins[index])
            let freed = table.settle(limit: 10)
            #expect(!(isFree && !freed.isEmpty), "freed twice: \(place)")
            isFree = isFree || !freed.isEmpty
            #expect(isFree == !left.contains { birth <= $0 && $0 < death }, "\(place) at \(index)")
          }
          #expect(table.heldPageCount == 0)
        }
      }
    }
  }

  /// rule C2: long random histories; what waits is freed exactly when nobody sees it any more.
  @Test(arguments: 1...40 as ClosedRange<UInt64>) func randomHistories(seed: UInt64) {
    var random = PagerRandom(seed: seed)
    var table = PinTable()
    var model = Model()
    var epoch: UInt64 = 1
    var nextID: UInt64 = 10
    table.add(Epoch(0))
    model.pins[0] = 1
    for step in 0..<400 {
      switch random.below(6) {
      case 0:
        table.add(Epoch(epoch))
        model.pins[epoch] = 1
        epoch += 1 + UInt64(random.below(3))
      case 1 where !model.pins.isEmpty:
        table.shareYoungest()
        model.pins[model.pins.keys.max() ?? 0, default: 0] += 1
      case 2 where model.pins.count > 1:
        let pin = model.pins.keys.sorted()[random.below(model.pins.count)]
        table.release(Epoch(pin))
        model.pins[pin] = model.pins[pin] == 1 ? nil : (model.pins[pin] ?? 0) - 1
      case 3:
        // Bounded draining may leave some for later, but frees nothing that is seen.
        for free in table.settle(limit: 1 + random.below(4)) {
          let id = free.extent.first.rawValue
          #expect(
            !model.isSeen(free.birth.rawValue, free.death.rawValue), "seed \(seed) step \(step)")
          #expect(model.waiting.contains { $0.id == id }, "seed \(seed) step \(step)")
          model.waiting.removeAll { $0.id == id }
        }
      default:
        let birth = UInt64(random.below(Int(epoch) + 1))
        let isFree = table.unlink(entry(nextID, birth, epoch))
        #expect(isFree == !model.isSeen(birth, epoch), "seed \(seed) step \(step)")
        if !isFree { model.waiting.append((nextID, birth, epoch)) }
        nextID += 1
      }
      #expect(table.heldPageCount == model.waiting.count, "seed \(seed) step \(step)")
    }
    let freed = Set(table.settle(limit: .max).map { $0.extent.first.rawValue })
    #expect(freed == model.takeFree(), "seed \(seed)")
    #expect(table.count == model.pins.count)
    #expect(table.youngest.rawValue == model.pins.keys.max())
  }
}

/// A generator whose every draw follows from its seed (SplitMix64).
struct PagerRandom: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// A number below `limit`.
  mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(max(1, limit))) }
}

/// What a transaction made is its own, whatever a file says of epochs.
@Suite struct OpenTransactionTests {
  /// rule F4: a page that claims to be younger than the transaction, but was not made by it, is
  /// not free at once. (Found by the fuzzer's whole-file target.)
  @Test func onlyOwnPagesAreFreeAtOnce() {
    var transaction = OpenTransaction(logLimit: 100)
    transaction.levels.append(OpenTransaction.Level(pin: Epoch(5)))
    transaction.link(PageID(70))
    func unlink(_ page: UInt64) -> Bool {
      transaction.unlink(
        Unlinked(
          extent: Extent(first: PageID(page), pageCount: 1), birth: Epoch(6), death: Epoch(6),
          isValue: false))
    }
    #expect(unlink(70))
    #expect(!unlink(70), "it is gone already")
    #expect(!unlink(9000) && !unlink(1 << 40), "made by somebody else")
    #expect(transaction.unlinked.count == 3)
  }
}
