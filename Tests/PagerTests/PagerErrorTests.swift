import Foundation
import Testing

@testable import Pager

@Suite struct PagerErrorTests {
  @Test func descriptionIsOneLineWithAllThatIsKnown() {
    let error = PagerError(
      .corrupted, "the page's checksum is wrong; restore a backup", path: "/tmp/a\nb", page: 7,
      byteOffset: 12, expected: 1, found: 2, systemError: ENOSPC)
    let words = "No space left on device"
    #expect(
      error.description
        == "corrupted: the page's checksum is wrong (file \"/tmp/a\\nb\", page 7, byte 12, "
        + "expected 1, found 2, \(words), errno \(ENOSPC)); restore a backup")
    #expect(PagerError(.busy, "locked").description == "busy: locked")
  }

  @Test func errorIsOnePointer() {
    #expect(MemoryLayout<PagerError>.size == MemoryLayout<UnsafeRawPointer>.size)
  }

  @Test func systemErrorsHaveTheirCodes() {
    let codes: [(Int32, PagerError.Code)] = [
      (ENOENT, .notFound), (EEXIST, .alreadyExists), (EACCES, .permissionDenied),
      (EPERM, .permissionDenied), (EROFS, .readOnly), (ENOSPC, .diskFull), (EDQUOT, .diskFull),
      (EFBIG, .diskFull), (EISDIR, .notADatabase), (EIO, .inputOutput), (EBADF, .inputOutput),
      (ENOMEM, .outOfAddressSpace),
    ]
    for (number, code) in codes {
      let error = PagerError(systemError: number, whileTrying: "to test", path: nil)
      #expect(error.code == code, "errno \(number)")
      #expect(error.systemError == number)
    }
  }
}
