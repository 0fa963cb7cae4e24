// dcmjs-dimse as a modality and viewer. In: one JSON object as the only argument. Out: one JSON
// object: what was stored, found, retrieved and moved.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import dcmjsDimse from 'dcmjs-dimse';

const { Client, Dataset, Scp, Server, log } = dcmjsDimse;
const { CEchoRequest, CFindRequest, CGetRequest, CMoveRequest, CStoreRequest, NActionRequest } =
  dcmjsDimse.requests;
const { CEchoResponse, CStoreResponse, NEventReportResponse } = dcmjsDimse.responses;
const { PresentationContextResult, SopClass, Status, TransferSyntax } = dcmjsDimse.constants;

log.setLevel('error');
const order = JSON.parse(process.argv[2]);
const securityOptions = order.tls && {
  key: readFileSync(order.tls.key),
  cert: readFileSync(order.tls.certificate),
  ca: readFileSync(order.tls.authority),
  requestCert: true,
  rejectUnauthorized: true,
};
const security = securityOptions ? { securityOptions } : {};
const uncompressed = [TransferSyntax.ExplicitVRLittleEndian, TransferSyntax.ImplicitVRLittleEndian];

function nameOf(dataset) {
  const name = dataset.getElement('PatientName');
  const first = Array.isArray(name) ? name[0] : name;
  return typeof first === 'object' ? first.Alphabetic : String(first);
}

function described(dataset) {
  const [pixels] = [dataset.getElement('PixelData')].flat();
  return {
    name: nameOf(dataset),
    pixels: createHash('sha256').update(Buffer.from(pixels)).digest('hex'),
  };
}

// Sends requests on one association; the answers to all of them, in order.
function send(requests, { aet = order.aet, onStore } = {}) {
  return new Promise((resolve, reject) => {
    const client = new Client();
    const answers = [];
    for (const request of requests) {
      request.on('response', (response) => answers.push(response));
      client.addRequest(request);
    }
    client.on('cStoreRequest', (request, callback) => {
      onStore(request.getDataset());
      const response = CStoreResponse.fromRequest(request);
      response.setStatus(Status.Success);
      callback(response);
    });
    client.on('networkError', reject);
    client.on('associationRejected', (result) => reject(new Error(JSON.stringify(result))));
    client.on('closed', () => resolve(answers));
    client.send('127.0.0.1', order.port, aet, 'FILMLESS', security);
  });
}

async function find(aet) {
  const asked = { PatientName: order.asked, PatientID: order.patientIds, StudyInstanceUID: '' };
  const answers = await send([CFindRequest.createStudyFindRequest(asked)], { aet });
  const found = answers.filter((answer) => answer.hasDataset());
  return found.map((answer) => nameOf(answer.getDataset()));
}

class Receiver extends Scp {
  associationRequested(association) {
    for (const { id } of association.getPresentationContexts()) {
      const context = association.getPresentationContext(id);
      const [syntax] = context.getTransferSyntaxUids();
      if (uncompressed.includes(syntax)) {
        context.setResult(PresentationContextResult.Accept, syntax);
      } else {
        context.setResult(PresentationContextResult.RejectTransferSyntaxesNotSupported);
      }
    }
    this.sendAssociationAccept();
  }

  cEchoRequest(request, callback) {
    const response = CEchoResponse.fromRequest(request);
    response.setStatus(Status.Success);
    callback(response);
  }

  cStoreRequest(request, callback) {
    moved.push(described(request.getDataset()));
    const response = CStoreResponse.fromRequest(request);
    response.setStatus(Status.Success);
    callback(response);
  }

  nEventReportRequest(request, callback) {
    const report = request.getDataset();
    reported({
      transaction: report.getElement('TransactionUID'),
      event: request.getEventTypeId(),
      safe: [report.getElement('ReferencedSOPSequence')]
        .flat()
        .map((item) => item.ReferencedSOPInstanceUID),
    });
    const response = NEventReportResponse.fromRequest(request);
    response.setStatus(Status.Success);
    callback(response);
  }

  associationReleaseRequested() {
    this.sendAssociationReleaseResponse();
  }
}

// Asks for storage commitment; the report comes to the receiver, on an association of its own.
function commitmentTo(instances) {
  const request = new NActionRequest(
    SopClass.StorageCommitmentPushModel,
    '1.2.840.10008.1.20.1.1',
    1,
  );
  const asked = {
    TransactionUID: Dataset.generateDerivedUid(),
    ReferencedSOPSequence: instances.map((uid) => ({
      ReferencedSOPClassUID: order.sopClass,
      ReferencedSOPInstanceUID: uid,
    })),
  };
  request.setDataset(new Dataset(asked));
  return { request, transaction: asked.TransactionUID };
}

const got = [];
const moved = [];
let reported;
const report = new Promise((resolve) => (reported = resolve));
const commitment = commitmentTo(order.instances);
const statuses = async (requests, options) =>
  (await send(requests, options)).map((answer) => answer.getStatus());

const receiver = new Server(Receiver);
receiver.listen(order.receiver.port, security);
const done = {
  echo: await statuses([new CEchoRequest()]),
  store: await statuses(order.files.map((file) => new CStoreRequest(file))),
  found: await find(order.aet),
  foundInAscii: await find(order.asciiAet),
  get: await statuses(
    order.uids.map((uid) => CGetRequest.createStudyGetRequest(uid)),
    { onStore: (dataset) => got.push(described(dataset)) },
  ),
  move: await statuses(
    order.uids.map((uid) => CMoveRequest.createStudyMoveRequest(order.receiver.aet, uid)),
  ),
  commit: await statuses([commitment.request]),
  transaction: commitment.transaction,
  report: await report,
  got,
  moved,
};
receiver.close();
console.log(JSON.stringify(done));
